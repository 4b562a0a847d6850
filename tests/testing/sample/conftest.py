import pytest
import shop


@pytest.fixture
def aurora_jobs():
    shop.sent.clear()
    return shop.jobs


@pytest.fixture
def aurora(aurora):
    aurora.execute(shop.SCHEMA)
    return aurora
