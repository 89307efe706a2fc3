"""The built wheel, alone in a virtual environment of its own."""

import site
import subprocess
import sys
import venv
from pathlib import Path

from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]


def test_the_wheel_brings_its_themes_and_style_sheets(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)],
        check=True,
        capture_output=True,
    )
    [wheel] = (tmp_path / "dist").glob("*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    # The dependencies alone: a path file inside a folder that a path file names is not read, so the checkout stays out.
    [packages] = (home / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    where = subprocess.run(
        [str(python), "-P", "-c", "import mlops_tui; print(mlops_tui.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(packages) in where.stdout
    themes = sorted(path.name for path in (packages / "mlops_tui" / "themes").iterdir())
    assert themes == sorted(path.name for path in (ROOT / "themes").glob("*.toml"))
    assert (packages / "mlops_tui" / "py.typed").exists()
    environment = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "KUBECONFIG": "",
    }
    for theme in ("midnight", "daylight"):
        with Terminal(
            ["env", "-C", str(tmp_path), str(home / "bin" / "mlops-tui"), "--theme", theme], env=environment
        ) as terminal:
            terminal.wait_for("mlops-tui", "Workflows", "off:", absent=["no theme"])
            terminal.send("q")
            assert terminal.wait_end() == 0
