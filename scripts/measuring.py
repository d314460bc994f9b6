"""Shared by the measuring scripts: the control plane, the binary, and the description of the machine."""

import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = ROOT / "e2e/.cache/bin"


def binary():
    """The measured program: KUBE_STATE_FLEET, or a build with the profile `dist`."""
    given = os.environ.get("KUBE_STATE_FLEET")
    if given is not None:
        return given
    subprocess.check_call(["cargo", "build", "--quiet", "--profile=dist", "--bin", "kube-state-fleet"], cwd=ROOT)
    return os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target")) + "/dist/kube-state-fleet"


class ControlPlane:
    """A real API server over etcd, for use in `with`. Its logs are in `run`, which is emptied first."""

    def __init__(self, run, *flags):
        if not (TOOLS / "controlplane").exists():
            raise SystemExit("no control plane: run scripts/e2e --build-tools")
        self.run, self.flags = run, flags

    def __enter__(self):
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        output = self.run / "controlplane.json"
        command = [TOOLS / "controlplane", f"-dir={self.run / 'controlplane'}", *self.flags]
        with open(output, "w") as out, open(self.run / "controlplane.log", "w") as log:
            self.process = subprocess.Popen(command, stdout=out, stderr=log)
        while not output.read_text().endswith("\n"):
            if self.process.poll() is not None:
                raise SystemExit(f"the control plane ended: see {self.run}/controlplane.log")
            time.sleep(0.2)
        self.ready = json.loads(output.read_text())
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def kubeconfig(self):
        return self.ready["kubeconfig"]

    def load(self, *flags):
        """Runs the loader and returns its output."""
        command = [TOOLS / "load", f"-kubeconfig={self.kubeconfig}", f"-etcd={self.ready['etcd']}", *flags]
        with open(self.run / "load.log", "a") as log:
            return subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, check=True).stdout


def cpu(process):
    """Seconds of CPU that a process has used."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process):
    """Resident bytes of a process, now and at the peak."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return tuple(int(re.search(rf"{key}:\s+(\d+)", status)[1]) * 1024 for key in ("VmRSS", "VmHWM"))


def write(mark, text):
    """Replaces the text between two marks of docs/performance.md."""
    page = ROOT / "docs/performance.md"
    pattern = re.compile(rf"(<!-- measured: {re.escape(mark)} -->\n).*?(<!-- end -->)", re.S)
    text, count = pattern.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page.read_text())
    if count != 1:
        raise SystemExit(f"{page} has no mark {mark!r}")
    page.write_text(text)


def circumstances():
    """The machine, the date and the commit."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    size = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 1e6
    machine = f"{os.cpu_count()} CPUs ({model[1] if model else os.uname().machine}), {size:.0f} GB"
    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], cwd=ROOT, text=True).strip()
    return f"{machine}; {datetime.date.today()}; {commit}"


def table(head, rows):
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
