"""The registry of models through the official `mlflow`, in an environment of its own: log, register, alias, load, search, delete."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Site
from tests.support.environments import environment

WITHIN_S = 300
REQUIREMENTS = ("mlflow-skinny==3.17.2", "databricks-sdk", "pandas<3", "scikit-learn==1.9.0", "skops")
_SCRIPT = """
import json, sys
import mlflow, numpy, pandas
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sklearn.linear_model import LinearRegression

folder, name = sys.argv[1], sys.argv[2]
mlflow.set_tracking_uri(f"file:{folder}/runs")
mlflow.set_registry_uri("databricks-uc")
client = MlflowClient()
frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0, 4.0]})
told = {}

def fit(factor):
    model = LinearRegression().fit(frame, factor * frame["x"])
    signature = mlflow.models.infer_signature(frame, model.predict(frame))
    with mlflow.start_run() as run:
        mlflow.log_metric("factor", factor)
        logged = mlflow.sklearn.log_model(model, name="model", signature=signature, registered_model_name=name)
        return run.info.run_id

runs = [fit(2.0), fit(3.0)]
told["versions"] = sorted((v.version, v.status) for v in client.search_model_versions(f"name = '{name}'"))
told["run_known"] = client.get_model_version(name, "2").run_id in ("", None, runs[1])
client.set_registered_model_alias(name, "champion", "1")
told["champion"] = list(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(frame))
client.set_registered_model_alias(name, "champion", "2")
told["new_champion"] = [round(v, 6) for v in mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(frame)]
told["by_alias"] = client.get_model_version_by_alias(name, "champion").version
client.set_registered_model_tag(name, "team", "priser")
client.set_model_version_tag(name, "1", "checked", "ja")
client.update_registered_model(name, description="Vad det kostar")
client.update_model_version(name, "1", description="first")
model, version = client.get_registered_model(name), client.get_model_version(name, "1")
told["model"] = [model.description, model.tags, model.aliases]
told["version"] = [version.description, version.tags]
told["found"] = [each.name for each in client.search_registered_models()]
client.delete_model_version_tag(name, "1", "checked")
client.delete_registered_model_tag(name, "team")
client.delete_registered_model_alias(name, "champion")
told["uri"] = client.get_model_version_download_uri(name, "1")
client.delete_model_version(name, "1")
told["left"] = [v.version for v in client.search_model_versions(f"name = '{name}'")]
client.rename_registered_model(name, name + "_moved")
told["moved"] = client.get_registered_model(name + "_moved").name
try:
    mlflow.pyfunc.load_model(f"models:/{name}/1")
except MlflowException as error:
    told["gone"] = error.error_code
client.delete_registered_model(name + "_moved")
try:
    client.get_registered_model(name + "_moved")
except MlflowException as error:
    told["deleted"] = error.error_code
print("TOLD", json.dumps(told))
"""

pytestmark = pytest.mark.timeout(900)  # The environment is made by the first run.


def _run(site: Site, folder: Path, name: str, user: str = "admin", script: str = _SCRIPT, **more: str) -> dict[str, Any]:
    """What the script told."""
    given = {
        **os.environ,
        "HOME": str(folder),
        "DATABRICKS_HOST": site.server.url,
        "DATABRICKS_TOKEN": site.token(user),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        **more,
    }
    python = environment("mlflow", *REQUIREMENTS)
    done = subprocess.run(
        [str(python), "-c", script, str(folder), name], env=given, cwd=folder, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    line = next((each for each in done.stdout.splitlines() if each.startswith("TOLD ")), "")
    assert line, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    told: dict[str, Any] = json.loads(line.removeprefix("TOLD "))
    return told


@pytest.mark.parametrize("native", ["false", "true"])
def test_models_are_logged_registered_loaded_and_deleted(site: Site, tmp_path: Path, native: str) -> None:
    name = f"main.default.price_{native}"
    told = _run(site, tmp_path, name, MLFLOW_ENABLE_UC_NATIVE_MODEL_REGISTRY=native)
    assert told["versions"] == [["1", "READY"], ["2", "READY"]]
    assert told["run_known"]
    assert [round(value, 6) for value in told["champion"]] == [2.0, 4.0, 6.0, 8.0]
    assert told["new_champion"] == [3.0, 6.0, 9.0, 12.0]
    assert told["by_alias"] == "2"
    assert told["model"] == ["Vad det kostar", {"team": "priser"}, {"champion": "2"}]
    assert told["version"] == ["first", {"checked": "ja"}]
    assert name in told["found"]
    assert told["uri"] == f"dbfs:/Models/{name.replace('.', '/')}/1"
    assert told["left"] == ["2"]
    assert told["moved"] == f"{name}_moved"
    assert told["gone"] == told["deleted"] == "RESOURCE_DOES_NOT_EXIST"
