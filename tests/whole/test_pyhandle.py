"""pyhandle, a client of the Handle HTTP API as people use it: its own integration suites against the node over HTTPS.

What passes against Handle.Net 9.3.1 passes here; what fails is what its tests have wrong.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fakes.certificate import client_certificate
from tests.waiting import PATIENCE
from tests.whole.calls import CERTIFIED_ADMIN, SERVER_ADMIN, Caller

ROOT = Path(__file__).parents[2]
SECRET = "a long secret"
STALE = {
    "test_global_resolve": "asks a server of the whole world",
    "test_instantiate_with_credentials": "its credentials lack the client they must name",
    "test_instantiate_with_credentials_config": "so",
    "test_instantiate_with_credentials_config_override": "so",
    "test_instantiate_with_credentials_inexistentuser": "so",
    "test_delete_handle_inexistent": "expects None, and gets the exception the client documents",
    "test_register_handle": "gives an argument the client does not know",
    "test_generate_and_register_handle": "sends that argument as an array for data",
}
"""Tests of its suites that fail wherever they run, and why."""
MODULES = ("handleclient_read_integration_test", "handleclient_write_integration_test")
RUN = """
import importlib, json, sys, unittest
modules = [importlib.import_module(f"pyhandle.tests.testcases.{name}") for name in sys.argv[2:]]
found = [test for module in modules for each in unittest.defaultTestLoader.loadTestsFromModule(module) for test in each]
stale = set(json.loads(sys.argv[1]))
result = unittest.TestResult()
unittest.TestSuite(test for test in found if test._testMethodName not in stale).run(result)
told = [f"{test}: {why}" for test, why in result.failures + result.errors]
print(json.dumps({"found": [test._testMethodName for test in found], "ran": result.testsRun, "failed": told}))
"""


def laid_out(folder: Path, server: str, certificate: Path, prefix: str) -> Path:
    """A copy of pyhandle that is told about the node, and the `mock` it wants, which Python has."""
    spec = find_spec("pyhandle")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, folder / "pyhandle")
    resources = folder / "pyhandle" / "tests" / "resources"
    values = json.loads((resources / "testvalues_for_integration_tests_template_PUBLIC.json").read_text()) | {
        "user": SERVER_ADMIN,
        "password": SECRET,
        "handle_server_url_read": server,
        "handle_server_url_write": server,
        "url_extension_REST_API": "/api/handles/",
        "handle_for_read_tests": f"{prefix}/PYHANDLE-READ",
        "handle_to_be_created": f"{prefix}/PYHANDLE-CREATED",
        "handle_to_be_modified": f"{prefix}/PYHANDLE-MODIFIED",
        "HTTPS_verify": str(certificate),
    }
    (resources / "testvalues_for_integration_tests_IGNORE.json").write_text(json.dumps(values))
    (folder / "mock.py").write_text("from unittest.mock import *\n")
    return folder


def value(index: int, type_: str, data: Any, **more: Any) -> dict[str, Any]:
    return {"index": index, "type": type_, "data": data, **more}


def test_its_own_suites_pass(world: Any, tmp_path: Path) -> None:
    leather = world.ready["enterprises"][0]
    prefix, mine = leather["prefix"], Caller(world.http).signed(leather["username"], leather["password"])
    admin = {"handle": f"{prefix}/ADMIN", "index": 300, "permissions": "011111110011"}
    record = [
        value(100, "HS_ADMIN", {"format": "admin", "value": admin}),
        value(4, "TEST4", "val4"),
        value(111, "TEST1", "val1"),
        value(333, "TEST3", "val3"),
    ]
    key = [value(300, "HS_SECKEY", SECRET, permissions="1100"), record[0]]
    for suffix, values in (("ADMIN", key), ("PYHANDLE-READ", record)):
        told = mine.call("PUT", f"/api/handles/{prefix}/{suffix}", values, Content_Type="application/json")
        assert told.status == 201, told.body
    place = laid_out(tmp_path, world.ready["https"], world.data / "https.crt", prefix)
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(list(STALE)), *MODULES],
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(STALE) < set(told["found"])
    assert told["failed"] == []
    assert told["ran"] == len(told["found"]) - len(STALE) >= 20
    assert SECRET not in world.log.read_text()


BY_CERTIFICATE = """
import json, sys
from pyhandle.client.resthandleclient import RESTHandleClient
from pyhandle.handleexceptions import HandleAlreadyExistsException, HandleAuthenticationError
server, trusted, certificate, name = sys.argv[1:]
client = RESTHandleClient(handle_server_url=server, HTTPS_verify=trusted, certificate_and_key=certificate)
told = []
told.append(client.register_handle(name, "http://one.example/", overwrite=False))
try:
    client.register_handle(name, "http://two.example/", overwrite=False)
except HandleAlreadyExistsException:
    told.append("it is there")
client.modify_handle_value(name, URL="http://three.example/")
told.append(client.get_value_from_handle(name, "URL"))
client.delete_handle(name)
told.append(client.retrieve_handle_record(name))
print(json.dumps(told))
"""


def test_it_writes_by_a_client_certificate_and_so_does_curl(world: Any, tmp_path: Path) -> None:
    automotive = world.ready["enterprises"][1]
    prefix, trusted = automotive["prefix"], str(world.data / "https.crt")
    holder, certificate = CERTIFIED_ADMIN.partition(":")[2], tmp_path / "client.pem"
    client_certificate(certificate, CERTIFIED_ADMIN)
    signed = ["--url", world.http, "--username", automotive["username"], "--password", automotive["password"]]
    key_add = [sys.executable, "-m", "node.cli", "key", "add", holder, "301", str(certificate), "--certificate"]
    subprocess.run([*key_add, *signed], cwd=ROOT, check=True, timeout=PATIENCE)
    mine = Caller(world.http).signed(automotive["username"], automotive["password"])

    def done(*command: str) -> str:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    name = f"{prefix}/BY-CERTIFICATE"
    python = (sys.executable, "-c", BY_CERTIFICATE)
    said = done(*python, world.ready["client_cert"], trusted, str(certificate), name)
    assert json.loads(said) == [name, "it is there", "http://three.example/", None]
    curl = (
        "curl",
        "-sS",
        "--cacert",
        trusted,
        "--cert",
        str(certificate),
        "-H",
        'Authorization: Handle clientCert="true"',
    )
    body = ("-H", "Content-Type: application/json", "-d", json.dumps([value(1, "URL", "http://x/")]))
    url = f"{world.ready['client_cert']}/api/handles/{name}"
    assert json.loads(done(*curl, "-X", "PUT", *body, url)) == {"responseCode": 1, "handle": name}
    taken = mine.call(
        "PUT", f"/api/handles/{holder}?index=301", [value(301, "URL", "x")], Content_Type="application/json"
    )
    assert taken.status == 200
    assert done(*curl, "-X", "DELETE", url, "-o", "-", "-w", "%{http_code}") == "401"
