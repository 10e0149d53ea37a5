"""What a power cut leaves: replays what strace saw of a process, and writes down only what it had waited for.

    power_loss.py LOG ROOT UNTIL NAMES TARGET

LOG comes from `strace -f -ttt -xx`. ROOT was empty when the process started; it ran in ROOT. What began after UNTIL (seconds since 1970)
did not happen. TARGET gets what is left of ROOT. Of a file's bytes, those are left that a sync of the file covered. NAMES says which names
are left: `synced`, those that a sync of their folder covered, or `all`, as if the disk had got to them by itself.
"""
import os, re, sys

STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)", re.S)
RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.S)
CALL = re.compile(r"(\w+)\((.*)\) += (-?\w+|\?)(?: .*)?", re.S)
SYNCS = ("fsync", "fdatasync")


class File:
    def __init__(self):
        self.data, self.synced = bytearray(), b""

    def snapshot(self):
        return bytes(self.data)

    def write(self, data, at):
        if len(self.data) < at:
            self.data.extend(bytes(at - len(self.data)))
        self.data[at : at + len(data)] = data


class Folder:
    def __init__(self):
        self.names, self.synced = {}, {}

    def snapshot(self):
        return dict(self.names)


class Opened:
    def __init__(self, inode, append):
        self.inode, self.append, self.at = inode, append, 0


def text(argument):
    found = STRING.fullmatch(argument.strip())
    if not found or found[2]:
        raise ValueError(f"no whole string: {argument[:80]}")
    return bytes.fromhex(found[1].replace("\\x", ""))


def split(arguments):
    """At commas outside of brackets; strings are hexadecimal and have neither."""
    parts, depth, begin = [], 0, 0
    for found in re.finditer(r"[\[\]{},]", arguments):
        sign = found[0]
        depth += (sign in "[{") - (sign in "]}")
        if sign == "," and not depth:
            parts.append(arguments[begin : found.start()].strip())
            begin = found.end()
    return [*parts, arguments[begin:].strip()]


class Disk:
    def __init__(self, root):
        self.root, self.top, self.opened = os.fsencode(os.path.realpath(root)), Folder(), {}

    def place(self, path, folder="AT_FDCWD"):
        """The folder and the name in it; None outside of the root."""
        here = self.top
        if path.startswith(b"/"):
            path = os.path.normpath(path)
            if path != self.root and not path.startswith(self.root + b"/"):
                return None
            path = path[len(self.root) :]
        elif folder != "AT_FDCWD":
            if int(folder) not in self.opened:
                return None
            here = self.opened[int(folder)].inode
        names = [name for name in path.split(b"/") if name not in (b"", b".")]
        if b".." in names:
            raise ValueError(f"a path goes up: {path}")
        if not names:
            return {b"": here}, b""
        for name in names[:-1]:
            here = here.names[name]
        return here.names, names[-1]

    def open(self, fd, path, flags, folder="AT_FDCWD"):
        self.opened.pop(fd, None)
        place = self.place(path, folder)
        if place is None:
            return
        names, name = place
        flags = flags.split("|")
        if "O_TMPFILE" in flags:
            raise ValueError("a file without a name")
        if name not in names:
            if "O_CREAT" not in flags:
                raise ValueError(f"{path} was there before, or came unseen")
            names[name] = File()
        if "O_TRUNC" in flags:
            names[name].data.clear()
        self.opened[fd] = Opened(names[name], "O_APPEND" in flags)

    def rename(self, old, new):
        if (old is None) != (new is None):
            raise ValueError("a name came in or went out")
        if old:
            new[0][new[1]] = old[0].pop(old[1])

    def write(self, fd, data, at=None):
        if opened := self.opened.get(fd):
            if at is None:
                at = len(opened.inode.data) if opened.append else opened.at
                opened.at = at + len(data)
            opened.inode.write(data, at)

    def began(self, call, arguments):
        """What counts when a call begins."""
        if call == "close":
            self.opened.pop(int(arguments), None)
        if call in SYNCS and (opened := self.opened.get(int(arguments))):
            return opened.inode, opened.inode.snapshot()
        return None

    def done(self, call, arguments, result, begun):
        a = split(arguments)
        match call:
            case "openat":
                self.open(result, text(a[1]), a[2], a[0])
            case "open" | "creat":
                self.open(result, text(a[0]), a[1] if call == "open" else "O_CREAT|O_TRUNC")
            case "read":
                if opened := self.opened.get(int(a[0])):
                    opened.at += result
            case "lseek":
                if opened := self.opened.get(int(a[0])):
                    opened.at = result
            case "write" | "pwrite64":
                if int(a[0]) in self.opened:
                    self.write(int(a[0]), text(a[1])[:result], int(a[3]) if call == "pwrite64" else None)
            case "writev" | "pwritev" | "pwritev2":
                if int(a[0]) in self.opened:
                    data = b"".join(bytes.fromhex(found[1].replace("\\x", "")) for found in STRING.finditer(a[1]))
                    self.write(int(a[0]), data[:result], None if call == "writev" else int(a[3]))
            case "copy_file_range" | "sendfile":
                source, target, skip = (a[0], a[2], a[1]) if call == "copy_file_range" else (a[1], a[0], a[2])
                if int(target) in self.opened:
                    if skip != "NULL" or call == "copy_file_range" and a[3] != "NULL":
                        raise ValueError("a copy with offsets")
                    source = self.opened[int(source)]
                    self.write(int(target), bytes(source.inode.data[source.at : source.at + result]))
                    source.at += result
            case "ftruncate" | "fallocate":
                if opened := self.opened.get(int(a[0])):
                    data, length = opened.inode.data, int(a[1]) if call == "ftruncate" else int(a[2]) + int(a[3])
                    if call == "fallocate" and a[1] not in ("0", "FALLOC_FL_KEEP_SIZE"):
                        raise ValueError(f"fallocate {a[1]}")
                    if call == "ftruncate":
                        del data[length:]
                    if a[1] != "FALLOC_FL_KEEP_SIZE":
                        opened.inode.write(b"", length)
            case "rename":
                self.rename(self.place(text(a[0])), self.place(text(a[1])))
            case "renameat" | "renameat2":
                self.rename(self.place(text(a[1]), a[0]), self.place(text(a[3]), a[2]))
            case "link" | "linkat":
                old, new = (self.place(text(a[0])), self.place(text(a[1]))) if call == "link" else (self.place(text(a[1]), a[0]), self.place(text(a[3]), a[2]))
                if new:
                    new[0][new[1]] = old[0][old[1]]
            case "unlink" | "rmdir":
                self.remove(self.place(text(a[0])))
            case "unlinkat":
                self.remove(self.place(text(a[1]), a[0]))
            case "mkdir" | "mkdirat":
                if place := self.place(text(a[0])) if call == "mkdir" else self.place(text(a[1]), a[0]):
                    place[0][place[1]] = Folder()
            case "fsync" | "fdatasync":
                if begun:
                    begun[0].synced = begun[1]
            case "dup" | "dup2" | "dup3" | "fcntl":
                if call != "fcntl" or a[1].startswith("F_DUPFD"):
                    self.opened.pop(result, None)
                    if opened := self.opened.get(int(a[0])):
                        self.opened[result] = opened
            case "close" | "prctl" | "execve":
                pass
            case _:
                raise ValueError(f"what does {call} do to files?")

    def remove(self, place):
        if place:
            del place[0][place[1]]

    def leave(self, folder, names, target):
        os.mkdir(target, 0o700)
        for name, inode in (folder.synced if names == "synced" else folder.names).items():
            path = os.path.join(target, name)
            if isinstance(inode, Folder):
                self.leave(inode, names, path)
            else:
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                    file.write(inode.synced)


def replay(log, disk, until):
    begun = {}
    with open(log) as lines:
        for line in lines:
            thread, at, what = LINE.fullmatch(line.rstrip("\n")).groups()
            if float(at) > until:
                return
            if what.startswith(("+++", "---")):
                continue
            if what.endswith(" <unfinished ...>"):
                call, arguments = what.removesuffix(" <unfinished ...>").split("(", 1)
                begun[thread] = call, arguments, disk.began(call, arguments)
                continue
            if resumed := RESUMED.fullmatch(what):
                call, arguments, held = begun.pop(thread)
                what = f"{call}({arguments}{resumed[2]}"
                found = CALL.fullmatch(what)
            else:
                found = CALL.fullmatch(what)
                held = disk.began(found[1], found[2]) if found else None
            if not found:
                raise ValueError(f"not understood: {what[:200]}")
            if found[3] != "?" and int(found[3], 0) >= 0:
                disk.done(found[1], found[2], int(found[3], 0), held)


log, root, until, names, target = sys.argv[1:]
disk = Disk(root)
replay(log, disk, float(until))
disk.leave(disk.top, names, os.fsencode(target))
