"""Ctrl-C, a full disk: no part of a file stays behind."""
import os
import resource
import signal
import subprocess
import time
import unittest

from harness import VINDEX, CliTest, vectors

# Long enough to be interrupted on any machine; the run never gets to its end.
LONG_RUN = ["simulate", "da-tacos", "--model", "move", "--dim", "16000", "--scale", "20", "-o", "out"]


class InterruptTest(CliTest):
    def interrupt(self, words, number):
        process = subprocess.Popen([VINDEX, *words], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                   start_new_session=True)
        time.sleep(0.7)
        self.assertIsNone(process.poll(), "it ended before it could be interrupted")
        process.send_signal(number)
        out, err = process.communicate()
        self.assertEqual(process.returncode, 128 + number, err)
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("interrupted", err)

    def test_control_c_leaves_nothing(self):
        for number in signal.SIGINT, signal.SIGTERM:
            self.interrupt(LONG_RUN, number)
            self.assertEqual(os.listdir(self.folder), [])

    def test_control_c_keeps_the_older_file(self):
        os.mkdir(self.path("out"))
        self.write("out/embeddings.npy", b"older")
        self.interrupt(LONG_RUN, signal.SIGINT)
        self.assertEqual(os.listdir(self.path("out")), ["embeddings.npy"])
        with open(self.path("out/embeddings.npy"), "rb") as file:
            self.assertEqual(file.read(), b"older")

    def test_full_disk_leaves_nothing(self):
        self.write_npy("a.npy", vectors(1, 500, 64))
        self.write_labels("labels.csv", range(500))
        self.ok("build", "Flat", "--input", "a.npy", "-o", "a.vindex")
        before = sorted(os.listdir(self.folder))

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

        search = ["search", "a.vindex", "--queries", "a.npy", "-k", "50", "-o"]
        for words in (["convert", "a.npy", "b.fvecs"],
                      ["build", "Flat", "--input", "a.npy", "-o", "b.vindex"],
                      [*search, "b.npz"], [*search, "b.csv"], [*search, "b.ivecs"],
                      ["eval", "--input", "a.npy", "--labels", "labels.csv", "--per-query", "b.jsonl"],
                      ["simulate", "da-tacos", "--dim", "64", "--scale", "0.1", "-o", "out"]):
            self.fails(1, words, preexec_fn=limit)
            self.assertEqual(sorted(os.listdir(self.folder)), before, words)


if __name__ == "__main__":
    unittest.main()
