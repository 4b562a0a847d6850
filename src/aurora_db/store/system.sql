-- The tables every file has, format version 1. Times are text, UTC, fixed width, so that they
-- sort as text: YYYY-MM-DDTHH:MM:SS.ffffffZ. Read by store/migrate.py.

CREATE TABLE _settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Which database this is, so that positions of another one are refused; and the newest change that the
-- feed has forgotten.
INSERT INTO _settings VALUES ('id', lower(hex(randomblob(6)))), ('forgotten', '0');

CREATE TABLE _collections (
    name       TEXT NOT NULL PRIMARY KEY,
    definition TEXT NOT NULL CHECK (json_valid(definition)),
    rules      TEXT CHECK (rules IS NULL OR json_valid(rules)),
    created_at TEXT NOT NULL
) STRICT;

-- `fired` and `last_at` are counted by the triggers of the handler, `failed` by that of failed jobs.
CREATE TABLE _handlers (
    name       TEXT    NOT NULL PRIMARY KEY,
    definition TEXT    NOT NULL CHECK (json_valid(definition)),
    enabled    INTEGER GENERATED ALWAYS AS (coalesce(json_extract(definition, '$.enabled'), 1)) VIRTUAL,
    compiled   TEXT    GENERATED ALWAYS AS (coalesce(json_extract(definition, '$.compiled'), 'TRIGGER')) VIRTUAL,
    fired      INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    last_at    TEXT,
    -- How far a backfill has come that has not ended.
    backfill   TEXT CHECK (backfill IS NULL OR json_valid(backfill)),
    created_at TEXT    NOT NULL
) STRICT;

-- What causes the writes of this transaction: the job, how long the chain of causes before it is, and
-- their names; `newest` is the place of the newest job before them. Has a row only inside a transaction
-- that a job makes.
CREATE TABLE _causing (
    job    TEXT    NOT NULL,
    depth  INTEGER NOT NULL,
    chain  TEXT    NOT NULL,
    newest INTEGER NOT NULL
) STRICT;

CREATE TABLE _schedules (
    name       TEXT NOT NULL PRIMARY KEY,
    definition TEXT NOT NULL CHECK (json_valid(definition)),
    enabled    INTEGER GENERATED ALWAYS AS (coalesce(json_extract(definition, '$.enabled'), 1)) VIRTUAL,
    -- When it fires next, and for which time of its timetable: jitter lies between them.
    next_at    TEXT,
    due_at     TEXT,
    last_at    TEXT,
    created_at TEXT NOT NULL,
    CHECK ((next_at IS NULL) = (due_at IS NULL))
) STRICT;

CREATE INDEX _schedules_next ON _schedules (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE _migrations (
    version    TEXT NOT NULL PRIMARY KEY,
    checksum   TEXT NOT NULL,
    status     TEXT NOT NULL CHECK (status = 'applied'),
    applied_at TEXT NOT NULL,
    statements TEXT NOT NULL
) STRICT;

CREATE TABLE _changes (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    collection TEXT NOT NULL,
    op         TEXT NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    id         TEXT NOT NULL,
    before     TEXT,
    after      TEXT,
    at         TEXT NOT NULL
) STRICT;

-- One row for an operation that made several changes; a change without one stands alone.
CREATE TABLE _operations (
    first INTEGER NOT NULL PRIMARY KEY,
    last  INTEGER NOT NULL,
    CHECK (last > first)
) STRICT;

-- Who reads the feed at its own pace; what it has not read is kept, up to a cap. `lost` is 1 past it.
-- `owner` is the subscription that has it: only that one may move it.
CREATE TABLE _consumers (
    name       TEXT    NOT NULL PRIMARY KEY,
    position   INTEGER NOT NULL DEFAULT 0 CHECK (position >= 0),
    lost       INTEGER NOT NULL DEFAULT 0 CHECK (lost IN (0, 1)),
    owner      TEXT,
    created_at TEXT    NOT NULL,
    seen_at    TEXT
) STRICT;

-- Values by their keys (`db.kv`): JSON in `value` or bytes in `content`. What has expired is nobody's at
-- once and is removed later, along with other work.
CREATE TABLE _kv (
    key        TEXT NOT NULL PRIMARY KEY,
    value      TEXT CHECK (value IS NULL OR json_valid(value)),
    content    BLOB,
    expires_at TEXT,
    CHECK ((value IS NULL) <> (content IS NULL))
) STRICT;

CREATE INDEX _kv_expires ON _kv (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE _workers (
    id           TEXT    NOT NULL PRIMARY KEY,
    host         TEXT    NOT NULL,
    pid          INTEGER NOT NULL,
    threads      INTEGER NOT NULL,
    types        TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(types)),
    -- Null serves all.
    queues       TEXT    CHECK (queues IS NULL OR json_valid(queues)),
    started_at   TEXT    NOT NULL,
    heartbeat_at TEXT    NOT NULL
) STRICT;

CREATE TABLE _jobs (
    _n            INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    type          TEXT    NOT NULL CHECK (type <> ''),
    queue         TEXT    NOT NULL DEFAULT 'default',
    payload       TEXT    NOT NULL DEFAULT 'null' CHECK (json_valid(payload)),
    priority      INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1 AND 2),
    status        TEXT    NOT NULL DEFAULT 'PENDING' CHECK (status IN
                  ('SCHEDULED', 'BLOCKED', 'PENDING', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED')),
    retries       INTEGER NOT NULL DEFAULT 0 CHECK (retries >= 0),
    max_retries   INTEGER NOT NULL DEFAULT 3 CHECK (max_retries >= 1),
    error         TEXT,
    last_retry    TEXT,
    run_at        TEXT,
    created_at    TEXT    NOT NULL,
    started_at    TEXT,
    finished_at   TEXT,
    attempt       INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    crashes       INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    worker        TEXT,
    lease_until   TEXT,
    timeout       REAL,
    progress      REAL,
    progress_note TEXT,
    result        TEXT,
    unique_key    TEXT,
    tags          TEXT,
    cause         TEXT,
    after         TEXT,
    depends_on    INTEGER CHECK (depends_on >= 0),
    backoff       TEXT,
    on_dependency_failure TEXT CHECK (on_dependency_failure IN ('cancel', 'run')),
    batch         TEXT,
    -- Running means that somebody holds it.
    CHECK ((status = 'RUNNING') = (lease_until IS NOT NULL)),
    CHECK (status <> 'RUNNING' OR worker IS NOT NULL),
    -- Ended means that the time of the end is known.
    CHECK ((status IN ('COMPLETED', 'FAILED', 'CANCELLED')) = (finished_at IS NOT NULL)),
    CHECK (status <> 'SCHEDULED' OR run_at IS NOT NULL)
) STRICT;

-- Enqueueing pays for each index: three, all partial, each small at any time.
CREATE INDEX _jobs_pending ON _jobs (type, queue, priority DESC) WHERE status = 'PENDING';
CREATE INDEX _jobs_scheduled ON _jobs (run_at) WHERE status = 'SCHEDULED';
CREATE INDEX _jobs_running ON _jobs (worker) WHERE status = 'RUNNING';

-- The feed of jobs is lean, for every job passes three times: the status, beside the id that each
-- change has. Leases and progress are no change of status. The time is the job's own where it has one.
CREATE TRIGGER _jobs_inserted AFTER INSERT ON _jobs BEGIN
    INSERT INTO _changes (collection, op, id, after, at)
    VALUES ('_jobs', 'insert', NEW.id, '{"status":"' || NEW.status || '"}', NEW.created_at);
END;

CREATE TRIGGER _jobs_updated AFTER UPDATE OF status ON _jobs WHEN NEW.status IS NOT OLD.status BEGIN
    INSERT INTO _changes (collection, op, id, before, after, at)
    VALUES ('_jobs', 'update', NEW.id,
            '{"status":"' || OLD.status || '"}', '{"status":"' || NEW.status || '"}',
            coalesce(NEW.finished_at, CASE NEW.status WHEN 'RUNNING' THEN NEW.started_at END,
                     strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')));
END;

CREATE TRIGGER _jobs_deleted AFTER DELETE ON _jobs BEGIN
    INSERT INTO _changes (collection, op, id, before, at)
    VALUES ('_jobs', 'delete', OLD.id, '{"status":"' || OLD.status || '"}',
            strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'));
END;

CREATE TRIGGER _jobs_failed AFTER UPDATE OF status ON _jobs
    WHEN NEW.status = 'FAILED' AND OLD.status <> 'FAILED' AND NEW.cause IS NOT NULL BEGIN
    UPDATE _handlers SET failed = failed + 1 WHERE name = json_extract(NEW.cause, '$.handler');
END;

-- A job that would only continue a chain without end is born FAILED.
CREATE TRIGGER _jobs_refused AFTER INSERT ON _jobs
    WHEN NEW.status = 'FAILED' AND NEW.cause IS NOT NULL BEGIN
    UPDATE _handlers SET failed = failed + 1 WHERE name = json_extract(NEW.cause, '$.handler');
END;

CREATE TABLE _job_errors (
    job_id           TEXT    NOT NULL REFERENCES _jobs (id) ON DELETE CASCADE,
    attempt          INTEGER NOT NULL,
    at               TEXT    NOT NULL,
    error            TEXT    NOT NULL,
    traceback        TEXT,
    worker           TEXT,
    after_completion INTEGER NOT NULL DEFAULT 0 CHECK (after_completion IN (0, 1))
) STRICT;

CREATE INDEX _job_errors_job ON _job_errors (job_id);

-- Who has a key of unique jobs: at most one job of a type. The row stays after the job's end; whether
-- the job still counts is asked of its status and of `until`, as the one that was enqueued said.
CREATE TABLE _job_keys (
    type     TEXT NOT NULL,
    key      TEXT NOT NULL,
    job_id   TEXT NOT NULL UNIQUE REFERENCES _jobs (id) ON DELETE CASCADE,
    statuses TEXT NOT NULL CHECK (json_valid(statuses)),
    until    TEXT,
    PRIMARY KEY (type, key)
) STRICT, WITHOUT ROWID;

-- Which job waits for the end of which: one row until what follows from that end is done, so the table
-- is small at any time; `_jobs.after` keeps all of them. `outcome` is set by triggers, whoever ends or
-- deletes the job.
CREATE TABLE _job_dependencies (
    job_id  TEXT NOT NULL,
    waiting TEXT NOT NULL,
    outcome TEXT CHECK (outcome IN ('COMPLETED', 'FAILED', 'CANCELLED')),
    PRIMARY KEY (job_id, waiting)
) STRICT, WITHOUT ROWID;

CREATE INDEX _job_dependencies_ended ON _job_dependencies (waiting) WHERE outcome IS NOT NULL;

CREATE TRIGGER _jobs_ended AFTER UPDATE OF status ON _jobs
    WHEN NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL
         AND EXISTS (SELECT 1 FROM _job_dependencies WHERE job_id = NEW.id) BEGIN
    UPDATE _job_dependencies SET outcome = NEW.status WHERE job_id = NEW.id;
END;

-- A job that is deleted before it has ended counts as cancelled.
CREATE TRIGGER _jobs_gone AFTER DELETE ON _jobs
    WHEN EXISTS (SELECT 1 FROM _job_dependencies WHERE job_id = OLD.id) BEGIN
    UPDATE _job_dependencies
       SET outcome = coalesce(outcome, CASE WHEN OLD.finished_at IS NULL THEN 'CANCELLED' ELSE OLD.status END)
     WHERE job_id = OLD.id;
END;

-- How many jobs ended is counted by triggers, so it is right whoever ends them; `total` by those who
-- enqueue, for each enqueueing would pay for a trigger. Which callbacks were enqueued,
-- or were never asked for, says `told_…`; `due` is 1 while something follows that is not done.
CREATE TABLE _batches (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT,
    total         INTEGER NOT NULL DEFAULT 0 CHECK (total >= 0),
    completed     INTEGER NOT NULL DEFAULT 0 CHECK (completed >= 0),
    failed        INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled     INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    callbacks     TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(callbacks)),
    told_failure  INTEGER NOT NULL DEFAULT 0 CHECK (told_failure IN (0, 1)),
    told_complete INTEGER NOT NULL DEFAULT 0 CHECK (told_complete IN (0, 1)),
    told_success  INTEGER NOT NULL DEFAULT 0 CHECK (told_success IN (0, 1)),
    created_at    TEXT    NOT NULL,
    finished_at   TEXT,
    due           INTEGER GENERATED ALWAYS AS (
                      (failed > 0 AND NOT told_failure)
                      OR (completed + failed + cancelled >= total
                          AND (finished_at IS NULL OR NOT told_complete OR (completed = total AND NOT told_success)))
                  ) VIRTUAL
) STRICT;

CREATE INDEX _batches_due ON _batches (id) WHERE due = 1;

-- The jobs of a batch, by the names that a flow gave them.
CREATE TABLE _batch_jobs (
    batch  TEXT NOT NULL,
    job_id TEXT NOT NULL,
    name   TEXT,
    PRIMARY KEY (batch, job_id)
) STRICT;

CREATE TRIGGER _jobs_counted AFTER UPDATE OF status ON _jobs
    WHEN NEW.batch IS NOT NULL AND NEW.status <> OLD.status
         AND (NEW.finished_at IS NOT NULL OR OLD.finished_at IS NOT NULL) BEGIN
    UPDATE _batches
       SET completed = completed + (NEW.status = 'COMPLETED') - (OLD.status = 'COMPLETED'),
           failed = failed + (NEW.status = 'FAILED') - (OLD.status = 'FAILED'),
           cancelled = cancelled + (NEW.status = 'CANCELLED') - (OLD.status = 'CANCELLED'),
           finished_at = CASE WHEN NEW.finished_at IS NOT NULL THEN finished_at END
     WHERE id = NEW.batch;
END;

-- A job that is deleted after its end stays counted.
CREATE TRIGGER _jobs_left AFTER DELETE ON _jobs WHEN OLD.batch IS NOT NULL BEGIN
    DELETE FROM _batch_jobs WHERE batch = OLD.batch AND job_id = OLD.id;
    UPDATE _batches SET cancelled = cancelled + 1 WHERE id = OLD.batch AND OLD.finished_at IS NULL;
END;

-- What a job has done already: a retry leaves these steps out. A sleep is a step with the time of its end.
CREATE TABLE _job_steps (
    job_id      TEXT    NOT NULL REFERENCES _jobs (id) ON DELETE CASCADE,
    name        TEXT    NOT NULL CHECK (name <> ''),
    result      TEXT    CHECK (result IS NULL OR json_valid(result)),
    sleep_until TEXT,
    attempt     INTEGER NOT NULL,
    at          TEXT    NOT NULL,
    PRIMARY KEY (job_id, name)
) STRICT;

-- A queue stands here when somebody has said something of it; `aging` in seconds.
CREATE TABLE _queues (
    name      TEXT NOT NULL PRIMARY KEY,
    paused_at TEXT,
    aging     REAL CHECK (aging > 0)
) STRICT;

-- How many jobs of a queue or of a type may run at once, and begin in `rate_period` seconds; with a
-- `key`, for each of its values.
CREATE TABLE _limits (
    scope       TEXT    NOT NULL CHECK (scope IN ('queue', 'type')),
    name        TEXT    NOT NULL,
    concurrency INTEGER CHECK (concurrency >= 1),
    rate_count  INTEGER CHECK (rate_count >= 1),
    rate_period REAL    CHECK (rate_period > 0),
    key         TEXT,
    PRIMARY KEY (scope, name),
    CHECK ((rate_count IS NULL) = (rate_period IS NULL)),
    CHECK (concurrency IS NOT NULL OR rate_count IS NOT NULL)
) STRICT;

-- A limit counts by meters: one for each value of its `key`, or one in all, whose key is ''. Who has a
-- place: a row counts while its job is RUNNING in this attempt. A job that was freed and is not claimed yet
-- has its place reserved until `until`.
CREATE TABLE _limit_places (
    scope   TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    n       INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    until   TEXT,
    PRIMARY KEY (scope, name, key, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX _limit_places_job ON _limit_places (n);

-- What began and counts in a rate until `until`; `seq` has no gaps within a meter, so that nobody counts rows.
CREATE TABLE _limit_starts (
    scope TEXT    NOT NULL,
    name  TEXT    NOT NULL,
    key   TEXT    NOT NULL,
    until TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (scope, name, key, until, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX _limit_starts_until ON _limit_starts (until);

-- The jobs that are BLOCKED because their meter has no room, in the order in which it frees them.
CREATE TABLE _limit_parked (
    scope    TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    priority INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (scope, name, key, priority DESC, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX _limit_parked_job ON _limit_parked (n);

-- The meters that have parked jobs. At `due_at` it is looked whether one of them can be freed; without it,
-- when a place is given back. `template` is the key of the limit as it was then.
CREATE TABLE _limit_waits (
    scope    TEXT NOT NULL,
    name     TEXT NOT NULL,
    key      TEXT NOT NULL,
    template TEXT NOT NULL,
    due_at   TEXT,
    PRIMARY KEY (scope, name, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX _limit_waits_due ON _limit_waits (due_at) WHERE due_at IS NOT NULL;

-- Jobs that have risen by waiting, and since when each waits for its next rise.
CREATE TABLE _job_rises (
    n     INTEGER PRIMARY KEY,
    since TEXT NOT NULL
) STRICT;

-- Each due time of a schedule that was seen, once: what it enqueued, or why it was left out.
CREATE TABLE _schedule_runs (
    schedule TEXT NOT NULL,
    due_at   TEXT NOT NULL,
    fired_at TEXT NOT NULL,
    outcome  TEXT NOT NULL CHECK (outcome IN ('FIRED', 'SKIPPED', 'FAILED')),
    jobs     TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(jobs)),
    error    TEXT,
    PRIMARY KEY (schedule, due_at)
) STRICT;
