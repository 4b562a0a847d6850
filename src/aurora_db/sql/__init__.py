"""Plan → statement. Pure: knows how to say things in SQL, never talks to a database."""
