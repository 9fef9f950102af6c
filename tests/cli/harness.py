"""What the tests of the program share: running it, small files, and plain Python arithmetic."""
import array
import json
import math
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
import zipfile

VINDEX = os.environ["VINDEX"]


class CliTest(unittest.TestCase):
    """Runs each test in a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vindex-cli-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def run_vindex(self, *words, **options):
        return subprocess.run([VINDEX, *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              cwd=self.folder, check=False, **options)

    def ok(self, *words):
        """Standard output of a run that must succeed."""
        result = self.run_vindex(*words)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def ok_json(self, *words):
        def refuse(constant):
            self.fail(f"{constant} in the JSON")

        return json.loads(self.ok(*words, "--json"), parse_constant=refuse)

    def fails(self, status, words, *fragments, **options):
        """The run must fail with that status and one line of the form the contract gives."""
        result = self.run_vindex(*words, **options)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith(f"vindex {words[0]}: "), result.stderr)
        sentence = result.stderr[len(f"vindex {words[0]}: "):]
        self.assertRegex(sentence, r"^.+: .+; .+\n$")
        for fragment in fragments:
            self.assertIn(fragment, sentence)
        return sentence

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def write_npy(self, name, rows, dim=None):
        return self.write(name, npy(rows, dim))

    def write_labels(self, name, labels):
        lines = ["work_id,track_id"] + [f"{label},P{i}" for i, label in enumerate(labels)]
        return self.write(name, "\n".join(lines) + "\n")


def npy(rows, dim=None):
    """The bytes of a float32 .npy file."""
    dim = len(rows[0]) if dim is None else dim
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {dim}), }}"
    header += " " * (117 - len(header)) + "\n"
    values = array.array("f", [x for row in rows for x in row])
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes()


def read_npy(data):
    """Rows of a two-dimensional .npy file of '<f4', '<f2' or '<i8'."""
    length = struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:10 + length], {})  # written by the program under test
    code = {"<f4": "f", "<f2": "e", "<i8": "q"}[header["descr"]]
    rows, dim = header["shape"]
    body = data[10 + length:]
    assert not header["fortran_order"] and len(body) == rows * dim * struct.calcsize(code)
    values = struct.unpack(f"<{rows * dim}{code}", body)
    return [list(values[i * dim:(i + 1) * dim]) for i in range(rows)]


def read_npz(path):
    with zipfile.ZipFile(path) as archive:
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        return {name: read_npy(archive.read(name)) for name in archive.namelist()}


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def vectors(seed, rows, dim, levels=0):
    """Random float32 rows; levels > 0 gives small whole numbers, so that there are many ties."""
    source = random.Random(seed)
    if levels:
        return [[float(source.randrange(levels)) for _ in range(dim)] for _ in range(rows)]
    return [[float32(source.gauss(0, 1)) for _ in range(dim)] for _ in range(rows)]


def compare(metric, a, b):
    """The value the program reports: squared distance, or similarity."""
    if metric == "l2":
        return math.fsum((x - y) ** 2 for x, y in zip(a, b))
    if metric == "pearson":
        mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
        a, b = [x - mean_a for x in a], [y - mean_b for y in b]
    dot = math.fsum(x * y for x, y in zip(a, b))
    if metric == "ip":
        return dot
    norms = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(y * y for y in b))
    return dot / norms if norms else 0.0


def ranking(metric, query, rows, skip=None):
    """(value, row) of all rows but skip, best first, ties by the smaller row."""
    sign = 1 if metric == "l2" else -1
    found = [(sign * compare(metric, query, row), i) for i, row in enumerate(rows) if i != skip]
    return [(sign * value, i) for value, i in sorted(found)]
