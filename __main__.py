"""`python it`: how the setup cell of a notebook makes a course of its fresh clone, called `it`.

Installs what the notebooks need and is not there, and only then gives the clone its name, `course`.
"""

import shutil
import subprocess
import sys
from pathlib import Path

clone = Path(__file__).resolve().parent
if clone.name != "it":
    sys.exit("This is for the setup cell of a notebook. To run the course: make run.")
# Under another name from the first moment, so that what breaks off is fetched again.
unfinished = clone.with_name("course.part")
shutil.rmtree(unfinished, ignore_errors=True)
clone.rename(unfinished)
requirements = unfinished / "requirements.txt"
subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "-r", str(requirements)])
unfinished.rename(clone.with_name("course"))
