"""testssl.sh and sslyze look at the daemon's TLS.

    python -m tests.slow.tls_scanners [--sslyze PROGRAM]

Needs testssl.sh of Debian and sslyze of PyPI in an environment of its own (pipx install sslyze),
whose dependencies are pinned. Nothing but the daemon is connected to. Fails for a finding above
LOW, or one of sslyze's, that is not in the lists below, and for a check that was not made.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.authority import key_pem
from tests.support.tls import PASSWORD, TlsDaemon

ABOVE_LOW = ("WARN", "MEDIUM", "HIGH", "CRITICAL", "FATAL")
ACCEPTED_TESTSSL = {
    "cert_revocation": "the private authority of a test has neither OCSP nor a list of the revoked",
    "security_headers": "headers are the app's",
    # Of TLS 1.3 it may leave before the tickets come, and then reads an empty file of its own.
    "sessionresumption_ticket": "a race of testssl.sh's own, 7 of 20 times",
}
ACCEPTED_SSLYZE: dict[str, str] = {}
GOOD = {
    "tls_compression": ("supports_compression", False),
    "tls_1_3_early_data": ("supports_early_data", False),
    "openssl_ccs_injection": ("is_vulnerable_to_ccs_injection", False),
    "tls_fallback_scsv": ("supports_fallback_scsv", True),
    "heartbleed": ("is_vulnerable_to_heartbleed", False),
    "robot": ("robot_result", "NOT_VULNERABLE_RSA_NOT_SUPPORTED"),
    "session_renegotiation": ("is_vulnerable_to_client_renegotiation_dos", False),
    "tls_extended_master_secret": ("supports_ems_extension", True),
}
"""A field of each of sslyze's results, and the value that is no finding."""


def by_testssl(daemon: TlsDaemon, program: str, file: Path) -> list[tuple[str, str]]:
    """What testssl.sh finds above LOW: its name, and what it says."""
    quiet = ("--warnings", "off", "--nodns", "none", "--color", "0", "--quiet")
    command = [program, *quiet, "--ip", "127.0.0.1", "--jsonfile", str(file)]
    command += ["--add-ca", daemon.authority.cafile, f"localhost:{daemon.port}"]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    found = json.loads(file.read_text())
    seen = {each["id"] for each in found}
    # Of the first, a middle and the last part: it has come to its end.
    missing = [
        (each, "not checked") for each in ("TLS1_2", "heartbleed", "RC4") if each not in seen
    ]
    above = [each for each in found if each["severity"] in ABOVE_LOW]
    print(f"testssl.sh: {len(found)} findings, {len(above)} above LOW")
    return missing + [(each["id"], f"{each['severity']}: {each['finding']}") for each in above]


def by_sslyze(daemon: TlsDaemon, program: str, file: Path) -> list[tuple[str, str]]:
    """What sslyze finds, with what Mozilla's "intermediate" configuration does not have."""
    # First the configuration, which sslyze checks with commands of its own only.
    command = [program, "--json_out", str(file), "--certinfo_ca_file", daemon.authority.cafile]
    where = f"localhost:{daemon.port}"
    said = subprocess.run([*command, where], capture_output=True, text=True, check=False).stdout
    if "COMPLIANCE AGAINST TLS CONFIGURATION" not in said:
        return [("configuration", "not checked")]
    complaints = said.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2].splitlines()
    stars = [line.strip()[2:] for line in complaints if line.strip().startswith("* ")]
    if not stars and "OK - Compliant" not in said:
        stars = ["configuration: no outcome"]
    findings = [(name, text) for name, _, text in (each.partition(": ") for each in stars)]
    command += ["--mozilla_config", "disable"]
    checks = ("compression", "early_data", "openssl_ccs", "fallback", "heartbleed", "robot")
    command += [f"--{each}" for each in (*checks, "reneg", "ems")]
    subprocess.run([*command, where], stdout=subprocess.DEVNULL, check=False)
    (server,) = json.loads(file.read_text())["server_scan_results"]
    for name, (field, good) in GOOD.items():
        value = (server["scan_result"][name]["result"] or {}).get(field, "not checked")
        if value != good:
            findings.append((name, f"{field} is {value}"))
    print(f"sslyze: {len(GOOD)} checks and the configuration, {len(findings)} findings")
    return findings


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sslyze", default="sslyze")
    given = parser.parse_args()
    testssl, sslyze = shutil.which("testssl"), shutil.which(given.sslyze)
    for name, program in (("testssl.sh", testssl), ("sslyze", sslyze)):
        if program is None:
            print(f"{name} is missing", file=sys.stderr)
    if testssl is None or sslyze is None:
        return 2
    good = True
    daemon = TlsDaemon()
    # Those of other tests end within an hour, which testssl.sh reports.
    certificate, key = daemon.authority.certify("localhost", hours=24 * 80)
    daemon.certificate.write_bytes(certificate)
    daemon.key.write_bytes(key_pem(key, PASSWORD))
    with daemon, tempfile.TemporaryDirectory(prefix="stickyd-test-") as directory:
        (pid,) = daemon.tls_pids()
        at = Path(directory)
        for findings, accepted in (
            (by_sslyze(daemon, sslyze, at / "sslyze.json"), ACCEPTED_SSLYZE),
            (by_testssl(daemon, testssl, at / "testssl.json"), ACCEPTED_TESTSSL),
        ):
            for name, text in findings:
                good &= name in accepted
                why = f"accepted: {accepted[name]}" if name in accepted else "NOT ACCEPTED"
                print(f"  {name}: {text} ({why})")
        same = daemon.tls_pids() == [pid]
        trace = any("Traceback" in line for line in daemon.log)
    print(f"same TLS process: {same}; traceback in the log: {trace}")
    return 0 if good and same and not trace else 1


if __name__ == "__main__":
    sys.exit(main())
