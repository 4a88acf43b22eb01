from pathlib import Path

import pytest
from report_runs import inputs_of

from recache_ray.evaluation.report.inputs import ReportInputs
from recache_ray.testing.evaluated_run import write_evaluated_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evaluated_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def inputs(run_folder: Path) -> ReportInputs:
    return inputs_of(run_folder)
