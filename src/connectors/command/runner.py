"""Serves a Python function as AWS Lambda would call it, to Milepost, over stdin and stdout.

Started by Milepost with this text as the program, so nothing of it lies on disk. The handler and
the files beside it come with the greeting, as they were pinned when the run began. The protocol is
in docs/command.md. Standard library only, Python 3.9 or later.
"""

import importlib.abc
import importlib.machinery
import json
import os
import select
import signal
import sys
import threading
import time
import traceback

VERSION = 1


def take_over():
    """The two pipes to Milepost, out of reach: what the handler prints or reads goes elsewhere."""
    lines = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return lines, answers


def leave_with(pipe):
    """Ends this process and its children soon after Milepost is gone, whatever the handler is doing."""

    def watch():
        poll = select.poll()
        poll.register(pipe, 0)
        while not poll.poll():
            pass
        # What is left of the work may end first.
        time.sleep(1)
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Pinned(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Modules from texts that came with the greeting."""

    def __init__(self, name, path, texts, modules):
        super().__init__(name, path)
        self.texts = texts
        self.modules = modules

    def find_spec(self, fullname, path=None, target=None):
        file = self.modules.get(fullname)
        if file is not None:
            loader = Pinned(fullname, file, self.texts, self.modules)
            inside = [os.path.dirname(file)] if os.path.basename(file) == "__init__.py" else None
            spec = importlib.machinery.ModuleSpec(fullname, loader, origin=file, is_package=inside is not None)
            spec.has_location = True
            if inside:
                spec.submodule_search_locations = inside
            return spec
        if any(name.startswith(fullname + ".") for name in self.modules):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = []
            return spec
        return None

    def get_data(self, path):
        text = self.texts.get(path)
        if text is None:
            with open(path, "rb") as file:
                return file.read()
        return text.encode()

    def path_stats(self, path):
        raise OSError("not on disk")

    def set_data(self, path, data, *, _mode=0o666):
        pass


def unpack(handler):
    """Makes the pinned files importable; returns the module of the handler."""
    root = os.path.dirname(handler["file"])
    texts, modules = {}, {}
    for name, text in handler["files"].items():
        path = os.path.join(handler["folder"], name)
        texts[path] = text
        inside = os.path.relpath(name, root or ".")
        if not name.endswith(".py") or inside.startswith(".."):
            continue
        parts = inside[: -len(".py")].split(os.sep)
        if parts[-1] == "__init__":
            parts.pop()
        modules[".".join(parts)] = path
    sys.path[:] = [path for path in sys.path if path not in ("", ".")]
    sys.meta_path.insert(0, Pinned("", "", texts, modules))
    module = os.path.basename(handler["file"])[: -len(".py")]
    __import__(module)
    return sys.modules[module]


def find(module, name):
    function = getattr(module, name, None)
    if not callable(function):
        raise AttributeError("%s has no function %s" % (module.__name__, name))
    return function


class ClientContext:
    """What Milepost says beside the event."""

    def __init__(self, custom):
        self.custom = custom
        self.env = {}
        self.client = None


class Context:
    """What a Lambda function is told of its call."""

    function_version = "$LATEST"
    memory_limit_in_mb = "0"
    log_group_name = "milepost"
    identity = None

    def __init__(self, greeting, item):
        self.function_name = greeting["step"]
        self.invoked_function_arn = "arn:aws:lambda:local:000000000000:function:" + greeting["step"]
        self.log_stream_name = item.get("run", "")
        self.aws_request_id = item.get("effect", "")
        told = ("run", "item", "attempt", "key")
        self.client_context = ClientContext({name: item[name] for name in told if name in item})
        self._until = time.monotonic() + greeting["timeout_ms"] / 1000

    def get_remaining_time_in_millis(self):
        return max(0, int((self._until - time.monotonic()) * 1000))


def told(error):
    """What happened and where, in one line."""
    text = str(error).strip() or type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != "<string>"]
    if frames:
        last = frames[-1]
        text += " (%s:%d in %s)" % (os.path.basename(last.filename), last.lineno or 0, last.name)
    return text


def unpinned(error, handler):
    """A module that lies beside the handler and is not named is a mistake that is easily made."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        beside = os.path.join(handler["folder"], os.path.dirname(handler["file"]), *error.name.split("."))
        if os.path.exists(beside + ".py") or os.path.isdir(beside):
            return type(error)("%s: it lies beside the handler; name it under 'files'" % error)
    return error


def failure(error, number):
    passing = isinstance(error, (ConnectionError, TimeoutError)) or getattr(error, "again", False) is True
    return {"type": "error", "id": number, "name": type(error).__name__, "message": told(error), "again": passing}


def main():
    lines, answers = take_over()

    def spelled(what, odd="strict"):
        text = json.dumps(what, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", odd) + b"\n"

    def write(line):
        answers.write(line)
        answers.flush()

    def say(what, odd="strict"):
        write(spelled(what, odd))

    greeting = json.loads(lines.readline())
    leave_with(lines.fileno())
    try:
        handler = greeting["handler"]
        module = unpack(handler)
        functions = {"item": find(module, handler["function"])}
        if handler.get("lookup"):
            functions["probe"] = find(module, handler["lookup"])
    except BaseException as error:
        traceback.print_exc()
        say(failure(unpinned(error, greeting["handler"]), None), "backslashreplace")
        return
    say({"type": "hello", "version": VERSION, "at_once": 1, "probes": "probe" in functions})
    for line in lines:
        item = json.loads(line)
        function = functions.get(item["type"])
        if function is None:
            return
        try:
            result = function(item["body"], Context(greeting, item))
        except BaseException as error:
            say(failure(error, item["id"]), "backslashreplace")
            continue
        try:
            line = spelled({"type": "result", "id": item["id"], "result": result})
        except BaseException as error:
            if item["type"] == "item" and item.get("effect"):
                # It was done, and nothing can be told of it: an error would say that it was not.
                traceback.print_exc()
                return
            say(failure(error, item["id"]), "backslashreplace")
            continue
        write(line)


main()
