"""Prints every setting that libkrb5 reads from each krb5.conf: its path and value, with zero bytes.

The library's own functions for profiles are called (profile.h); they are part of its interface.
"""
import ctypes
import sys

# PROFILE_ITER_LIST_SECTION with _SECTIONS_ONLY and with _RELATIONS_ONLY.
SECTIONS, RELATIONS = 0x0003, 0x0005

library = ctypes.CDLL("libkrb5.so.3")


def below(profile, path, flags):
    """Names and values directly below a path."""
    names = (ctypes.c_char_p * (len(path) + 1))(*path, None)
    iterator = ctypes.c_void_p()
    if library.profile_iterator_create(profile, names, flags, ctypes.byref(iterator)):
        return
    while True:
        name, value = ctypes.c_char_p(), ctypes.c_char_p()
        library.profile_iterator(ctypes.byref(iterator), ctypes.byref(name), ctypes.byref(value))
        if name.value is None:
            return
        yield name.value, value.value


def show(profile, path):
    for name, value in below(profile, path, RELATIONS):
        sys.stdout.buffer.write(b"\0".join([*path, name]) + b"\0=" + value + b"\0\n")
    for name in dict.fromkeys(name for name, _ in below(profile, path, SECTIONS)):
        show(profile, [*path, name])


for file in sys.argv[1:]:
    profile = ctypes.c_void_p()
    code = library.profile_init_path(file.encode(), ctypes.byref(profile))
    if code:
        sys.stdout.buffer.write(b"refused: %d\0\n" % (code & 0xFF))
    else:
        show(profile, [])
    sys.stdout.buffer.write(b"\0end\0")
