#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs one guest: its virtual cards, QEMU, the command's streams and its status.

vm/run prepares everything and hands over to this process, which then owns all
there is to clean up: the processes it starts and the run directory. It exits
with the command's status, or with 124 (time-out), 99 (the guest's kernel log
shows a problem), 125 (there is no status), 128 + n (stopped by signal n).
"""

import argparse
import contextlib
import ctypes
import errno
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import kernel_log  # noqa: E402

PR_SET_PDEATHSIG = 1
ESCAPE = b"\x1d"  # Ctrl-]
# A guest that takes longer for these is stuck, however busy this machine is.
START_SECONDS = 300
SHUTDOWN_SECONDS = 60


class Stopped(Exception):
    """The run ends here, with this status."""

    def __init__(self, status, message=None):
        super().__init__(message)
        self.status = status
        self.message = message


class TimeUp(Exception):
    """The timer ran out."""


def on_signal(number, _frame):
    if number == signal.SIGALRM:
        raise TimeUp
    raise Stopped(128 + number)


def lost_terminal(error):
    """Whether a write failed because nobody has the other end any more."""
    return error.errno in (errno.EPIPE, errno.EIO)


def spawn(command, **kwargs):
    """A child that does not outlive this process, however that ends."""
    libc = ctypes.CDLL(None)

    def before_exec():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # ^C is this process's business.
        os.setpgid(0, 0)

    return subprocess.Popen(command, preexec_fn=before_exec, **kwargs)


def write_all(fd, data):
    try:
        while data:
            data = data[os.write(fd, data):]
    except OSError as error:
        if not lost_terminal(error):
            raise
        raise Stopped(128 + signal.SIGPIPE) from None


class Output:
    """A stream of the guest up to the marker that ends it."""

    def __init__(self, sock, fd, marker):
        self.sock, self.fd, self.marker = sock, fd, marker
        self.held = b""
        self.ended = False

    def on_readable(self):
        data = self.sock.recv(1 << 16)
        if not data:
            return False
        if self.ended:
            return True
        self.held += data
        end = self.held.find(self.marker)
        if end >= 0:
            self.ended = True
            ready, self.held = self.held[:end], b""
        else:
            # Only what may be the marker's beginning has to wait.
            keep = next(n for n in range(len(self.marker) - 1, -1, -1)
                        if self.held.endswith(self.marker[:n]))
            cut = len(self.held) - keep
            ready, self.held = self.held[:cut], self.held[cut:]
        write_all(self.fd, ready)
        return True


class Session:
    def __init__(self, args):
        self.args = args
        self.dir = args.directory
        self.cards = []
        self.qemu = None
        self.selector = selectors.DefaultSelector()
        self.outputs = []
        self.control = None
        self.wake = None
        self.wake_text = b""
        self.calling = threading.Event()
        self.control_text = b""
        self.qmp = None
        self.qmp_text = b""
        self.started = False
        self.status = None
        self.failure = None
        self.terminal = None
        self.stdin_sock = None
        self.began = time.monotonic()

    def path(self, name):
        return os.path.join(self.dir, name)

    def start_card(self, index, command):
        log = self.path(f"card{index}.log")
        with open(log, "wb") as stderr:
            card = spawn(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=stderr)
        self.cards.append((card, log))
        if card.stdout.readline().strip() != b"ready":
            card.wait()
            # Its log says why, which is printed with those of all cards.
            raise Stopped(125, "the virtual card did not start")

    def port(self, name):
        """A socket to the guest: our end, and the other one's number for QEMU."""
        ours, theirs = socket.socketpair()
        self.theirs[name] = theirs
        chardev = ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
        return ours, chardev

    def start_qemu(self):
        marker = self.args.marker.encode()
        command = list(self.args.qemu)
        self.theirs = {}

        def serial_port(name):
            ours, chardev = self.port(name)
            command.extend(chardev + [
                "-device", f"virtserialport,chardev={name},name=org.pddgpu.{name}"])
            return ours

        self.qmp, chardev = self.port("qmp")
        command.extend(chardev + ["-mon", "chardev=qmp,mode=control"])
        self.watch(self.qmp, self.on_qmp)
        self.execute("qmp_capabilities")
        self.wake, chardev = self.port("wake")
        command.extend(chardev + ["-serial", "chardev:wake"])
        self.watch(self.wake, self.on_wake)
        self.control = serial_port("control")
        self.watch(self.control, self.on_control)
        if self.args.tty:
            ours, chardev = self.port("tty")
            command.extend(chardev + ["-device", "virtconsole,chardev=tty"])
            self.add_output(Output(ours, 1, marker))
            self.stdin_sock = ours
        else:
            for name, fd in (("stdout", 1), ("stderr", 2)):
                self.add_output(Output(serial_port(name), fd, marker))
            if self.args.stdin:
                self.stdin_sock = serial_port("stdin")
        with open(self.path("qemu.log"), "wb") as log:
            self.qemu = spawn(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                              pass_fds=[s.fileno() for s in self.theirs.values()])
        # Its end says that QEMU is gone. Those of ports are for when the guest wakes up.
        self.theirs.pop("qmp").close()
        self.theirs.pop("wake").close()

    def watch(self, fileobj, handler):
        self.selector.register(fileobj, selectors.EVENT_READ, handler)

    def add_output(self, output):
        self.outputs.append(output)
        self.watch(output.sock, output.on_readable)

    def on_control(self):
        data = self.control.recv(4096)
        self.control_text += data
        *lines, self.control_text = self.control_text.split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "started":
                self.started = True
                signal.setitimer(signal.ITIMER_REAL, self.args.timeout)
                if self.args.verbose:
                    seconds = time.monotonic() - self.began
                    print(f"vm: first command after {seconds:.1f} s", file=sys.stderr)
                # Only now does the guest read it, and a terminal's owner may still
                # want ^C to stop a start.
                if self.stdin_sock:
                    self.start_stdin()
            elif word == "status":
                self.status = int(rest)
            elif word == "failed":
                self.failure = rest
        return bool(data)

    def execute(self, command, fds=(), **arguments):
        """Has QEMU do something, which may get files for it."""
        text = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            socket.send_fds(self.qmp, [text], list(fds))

    def on_wake(self):
        data = self.wake.recv(4096)
        self.wake_text += data
        *lines, self.wake_text = self.wake_text.split(b"\n")
        for line in lines:
            match line.split():
                case [b"woke"]:
                    self.plug_in_all()
                # A call that comes before the guest sleeps does not wake it.
                case [b"call", seconds]:
                    self.calling.set()
                    threading.Thread(target=self.call, args=[int(seconds)], daemon=True).start()
                case [b"awake"]:
                    self.calling.clear()
        return bool(data)

    def call(self, seconds):
        """Wakes a guest that sleeps with its clock stopped."""
        while self.calling.is_set():
            time.sleep(seconds)
            with contextlib.suppress(OSError):
                self.wake.sendall(b"\n")

    def plug_in_all(self):
        """After a sleep the guest does not know that there is somebody at the other ends of
        its ports, and learns it when they are plugged in."""
        for name, theirs in self.theirs.items():
            self.execute("getfd", [theirs.fileno()], fdname=name)
            self.plug_in(name, {"type": "fd", "data": {"str": name}})
        for index, _ in enumerate(self.cards):
            path = self.path(f"control{index}")
            self.plug_in(f"card{index}", {"type": "unix", "data": {"path": path}})

    def plug_in(self, chardev, address):
        nobody = {"type": "null", "data": {}}
        somebody = {"type": "socket", "data": {"addr": address, "server": False}}
        for backend in (nobody, somebody):
            self.execute("chardev-change", id=chardev, backend=backend)

    def on_qmp(self):
        data = self.qmp.recv(4096)
        self.qmp_text += data
        *lines, self.qmp_text = self.qmp_text.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise Stopped(125, f"QEMU: {message['error']['desc']}")
            if message.get("event") == "RESET":
                # A kernel that died boots again, which is the end here. QEMU's own
                # -no-reboot would end it when it wakes up, too.
                self.execute("quit")
        return bool(data)

    def start_stdin(self):
        if self.args.tty:
            self.terminal = termios.tcgetattr(0)
            tty.setraw(0)
            signal.signal(signal.SIGWINCH, self.on_resize)
            self.on_resize()
        # Apart, because a guest that reads nothing must not keep its output back.
        threading.Thread(target=self.pump_stdin, daemon=True).start()

    def on_resize(self, *_):
        """The guest's terminal is as large as this one."""
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(0)
            if size.columns and size.lines:
                self.control.sendall(b"resize %d %d\n" % (size.lines, size.columns))

    def pump_stdin(self):
        data = b"-"
        with contextlib.suppress(OSError):
            while data:
                data = os.read(0, 1 << 15)
                if not self.args.tty:
                    self.stdin_sock.sendall(b"%d\n" % len(data) + data)
                elif data != ESCAPE:
                    self.stdin_sock.sendall(data)
                else:
                    os.kill(os.getpid(), signal.SIGINT)
        if self.args.tty:
            # Nobody has the terminal any more, and not every shell tells what it ran.
            os.kill(os.getpid(), signal.SIGHUP)

    def finished(self):
        return self.failure is not None or (
            self.status is not None and all(o.ended for o in self.outputs))

    def serve(self):
        """Until the guest has said all, or is gone."""
        while not self.finished():
            for key, _ in self.selector.select():
                if not key.data():
                    self.selector.unregister(key.fileobj)
                    if key.fileobj is self.qmp:
                        return

    def run(self):
        signal.setitimer(signal.ITIMER_REAL, START_SECONDS)
        try:
            for index, card in enumerate(self.args.card or []):
                self.start_card(index, card.split("\x1f"))
            self.began = time.monotonic()
            self.start_qemu()
            self.serve()
        except TimeUp:
            if self.started:
                raise Stopped(124, f"time-out after {self.args.timeout:g} s") from None
            raise Stopped(125, f"the guest did not start in {START_SECONDS} s") from None
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.restore_terminal()
        if self.finished():
            # Its shutdown belongs to the guest's log too.
            with contextlib.suppress(BrokenPipeError):
                self.control.sendall(b"bye\n")
        try:
            code = self.qemu.wait(SHUTDOWN_SECONDS)
        except subprocess.TimeoutExpired:
            raise Stopped(125, "the guest did not power off") from None
        if self.failure is not None:
            raise Stopped(125, f"setting the guest up failed: {self.failure}")
        if self.status is None:
            raise Stopped(125, f"the guest ended without a status (QEMU: {code})\n"
                          + kernel_log.tail(self.path("qemu.log"), 20))
        return self.status

    def restore_terminal(self):
        if self.terminal is not None:
            # It may be gone.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self.terminal)
            self.terminal = None

    def kill_all(self):
        processes = [card for card, _ in self.cards] + ([self.qemu] if self.qemu else [])
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def report(session, status, message):
    """The exit status, after a look at what the kernel said."""
    log = session.path("kernel.log")
    if not os.path.exists(log):
        open(log, "wb").close()
    problems = kernel_log.problems(log)
    if message:
        print(f"vm: {message}", file=sys.stderr)
    if problems:
        print("vm: the guest's kernel log shows a problem:", file=sys.stderr)
        print(problems, file=sys.stderr)
    elif status in (124, 125) and message and os.path.getsize(log):
        print("vm: the end of the guest's kernel log:", file=sys.stderr)
        print(kernel_log.tail(log, 40), file=sys.stderr)
    if status == 125:
        for index, (card, path) in enumerate(session.cards):
            if os.path.getsize(path):
                print(f"vm: the end of card {index}'s log:\n{kernel_log.tail(path, 10)}",
                      file=sys.stderr)
    keep = session.args.verbose or problems or status == 125 or message
    if keep and os.path.getsize(log):
        kept = session.args.keep
        shutil.copyfile(log, kept)
        print(f"vm: the whole kernel log: {kept}", file=sys.stderr)
    return 99 if problems else status


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", required=True, help="run directory; removed at the end")
    parser.add_argument("--keep", required=True, help="where the kernel log is kept on failure")
    parser.add_argument("--marker", required=True)
    parser.add_argument("--card", action="append", help="command words joined by \\x1f")
    parser.add_argument("--timeout", type=float, default=0)
    parser.add_argument("--tty", action="store_true")
    parser.add_argument("--stdin", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("qemu", nargs="+")
    args = parser.parse_args()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, on_signal)
    session = Session(args)
    message = None
    try:
        try:
            status = session.run()
        except Stopped as stopped:
            status, message = stopped.status, stopped.message
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
                signal.signal(number, signal.SIG_IGN)
            session.kill_all()
            session.restore_terminal()
        return report(session, status, message)
    finally:
        shutil.rmtree(session.dir, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
