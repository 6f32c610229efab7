"""Prints every setting that liblinphone reads from each linphonerc, as a path and value with zero bytes.

The library's own functions for its configuration are called (linphone/api/c-config.h); no core is started.
"""
import ctypes
import os
import sys

# The library prints warnings among what is asked.
answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

library = ctypes.CDLL("liblinphone.so.10")
Each = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
library.linphone_config_new.restype = ctypes.c_void_p
library.linphone_config_get_string.restype = ctypes.c_char_p


def listed(call, *arguments):
    """The names that a function of the library gives one by one."""
    names = []
    call(*arguments, Each(lambda name, _: names.append(name)), None)
    return names


for file in sys.argv[1:]:
    config = ctypes.c_void_p(library.linphone_config_new(file.encode()))
    for section in listed(library.linphone_config_for_each_section, config):
        for name in listed(library.linphone_config_for_each_entry, config, section):
            value = library.linphone_config_get_string(config, section, name, None)
            answers.write(section + b"\0" + name + b"\0=" + value + b"\0\n")
    answers.write(b"\0end\0")
