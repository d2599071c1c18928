"""The process beside a server that answers at the admin socket; started by the server alone (`cli/remote.Companion`).

Its words: the descriptors of listener and life, the folder of calls, level and format of the log, the server's
configuration file or nothing. It loads no room until a verb is asked for, and then in a process of the call's own.
"""

import sys
from pathlib import Path

from mssmail.cli.remote import serve
from mssmail.metrics import logs

if __name__ == "__main__":
    listener, life, folder, level, form, file = sys.argv[1:]
    logs.configure(level, form)
    serve(int(listener), int(life), Path(folder), Path(file) if file else None)
