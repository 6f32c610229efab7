"""Prints every setting that QSettings reads from each INI file, as a path and a value with zero bytes."""
import sys

from PySide2.QtCore import QSettings

for file in sys.argv[1:]:
    settings = QSettings(file, QSettings.IniFormat)
    # Qt 6 knows nothing else.
    settings.setIniCodec("UTF-8")
    for path in filter(settings.contains, settings.allKeys()):
        value = settings.value(path)
        for each in value if isinstance(value, list) else [value]:
            printed = "" if each is None else each
            sys.stdout.buffer.write(f"{path}\0={printed}\0\n".encode())
    sys.stdout.buffer.write(b"\0end\0")
