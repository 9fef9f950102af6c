"""Wrong words answer 2, work that fails answers 1, in one line that says what to do."""
import os
import struct
import subprocess
import unittest

from harness import VINDEX, CliTest, npy, vectors

VERBS = ["info", "convert", "build", "tune", "search", "eval", "simulate", "bench"]


class ErrorsTest(CliTest):
    def setUp(self):
        super().setUp()
        self.write_npy("a.npy", vectors(1, 8, 4))
        self.write_labels("labels.csv", "aabbccdd")
        self.ok("build", "Flat", "--input", "a.npy", "-o", "a.vindex")
        self.before = sorted(os.listdir(self.folder))

    def tearDown(self):
        self.assertEqual(sorted(os.listdir(self.folder)), self.before, "something was left behind")
        super().tearDown()

    def bad_file(self, name, content, *fragments):
        """No verb that reads embeddings takes this file."""
        self.write(name, content)
        self.fails(1, ["info", name], name, *fragments)
        self.fails(1, ["convert", name, "out.npy"], name, *fragments)
        self.fails(1, ["build", "Flat", "--input", name, "-o", "out.vindex"], name, *fragments)
        self.fails(1, ["search", "a.vindex", "--queries", name], name, *fragments)
        self.fails(1, ["eval", "--input", name, "--labels", "labels.csv"], name, *fragments)
        os.unlink(self.path(name))

    def test_words_about_verbs(self):
        for words, fragment in ([], "none"), (["nonsense"], "nonsense"):
            result = self.run_vindex(*words)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertEqual(result.stderr.count("\n"), 1)
            self.assertIn(fragment, result.stderr)
            for verb in VERBS:
                self.assertIn(verb, result.stderr)

    def test_help(self):
        text = self.ok("--help")
        for verb in VERBS:
            self.assertIn(verb, text)
            help_text = self.ok(verb, "--help")
            self.assertIn("Example:\n  vindex " + verb, help_text)
            for flag in "--threads", "--seed", "--quiet", "--json", "--help":
                self.assertIn(flag, help_text)
        self.assertIn("2147483647", self.ok("search", "--help"))
        self.assertRegex(self.ok("--version"), r"^vindex \d+\.\d+\.\d+\n$")

    def test_words_of_each_verb(self):
        for verb in VERBS:
            self.fails(2, [verb, "--nonsense"], "--nonsense", "no such flag")
            self.fails(2, [verb, "--threads"], "--threads", "no value")
            self.fails(2, [verb, "--threads", "many"], "--threads", "not a number")
            self.fails(2, [verb, "--threads", "-2", "x", "y"], "-2")
            self.fails(2, [verb, "--seed", "-2", "x", "y"], "--seed", "-2")
            if verb != "bench":  # any number of factory strings
                self.fails(2, [verb, "a", "b", "c"], "one word too many")
        self.fails(2, ["bench", "a"], "'a'", "no benchmark", "kernels or recall")
        self.fails(2, ["bench", "kernels", "Flat"], "one word too many")
        self.fails(2, ["info"], "PATH")
        self.fails(2, ["convert", "a.npy"], "IN OUT")
        self.fails(2, ["build", "--input", "a.npy", "-o", "x"], "SPEC")
        self.fails(2, ["build", "Flat", "-o", "x"], "--input")
        self.fails(2, ["build", "Flat", "--input", "a.npy"], "-o")
        self.fails(2, ["search", "--queries", "a.npy"], "INDEX")
        self.fails(2, ["search", "a.vindex"], "--queries")
        self.fails(2, ["eval"], "--input")
        self.fails(2, ["simulate", "nonsense", "-o", "x"], "nonsense", "da-tacos")
        self.fails(2, ["bench", "nonsense"], "nonsense", "kernels")
        self.fails(2, ["bench", "kernels", "--dim", "0"], "--dim 0")
        self.fails(2, ["simulate", "da-tacos"], "-o")
        self.fails(2, ["simulate", "da-tacos", "--model", "nonsense", "-o", "x"], "nonsense", "move")
        self.fails(2, ["simulate", "da-tacos", "--scale", "-1", "-o", "x"])
        self.fails(2, ["simulate", "da-tacos", "--dim", "-1", "-o", "x"], "-1")

    def test_names_that_are_not_known(self):
        build = ["build", "Flat", "--input", "a.npy", "-o", "out.vindex"]
        self.fails(2, [*build, "--metric", "nonsense"], "nonsense", "pearson")
        self.fails(2, ["build", "Nonsense", *build[2:]], "Nonsense", "Flat")
        self.fails(2, ["build", "Flat,nonsense", *build[2:]], "nonsense")
        self.fails(2, ["build", "", *build[2:]])

    def test_search_ranges(self):
        search = ["search", "a.vindex", "--queries", "a.npy"]
        self.fails(2, [*search, "-k", "0"], "k", "1")
        self.fails(2, [*search, "-k", "-5"])
        self.fails(2, [*search, "-k", "3000000000"], "2147483647")
        self.fails(2, [*search, "-k", "ten"], "ten")
        self.fails(2, [*search, "--batch", "-1"], "-1")
        self.fails(2, [*search, "-o", "found.nonsense"], ".npz")
        self.fails(1, [*search, "-o", "no/such/found.npz"], "no/such")

    def test_files_that_are_not_there(self):
        for words in (["info", "none.npy"], ["convert", "none.npy", "out.npy"],
                      ["build", "Flat", "--input", "none.npy", "-o", "out"],
                      ["search", "none.vindex", "--queries", "a.npy"],
                      ["search", "a.vindex", "--queries", "none.npy"],
                      ["eval", "--input", "none.npy", "--labels", "labels.csv"],
                      ["simulate", "da-tacos", "--labels", "none.csv", "-o", "out"]):
            self.fails(1, words, "none.")

    def test_files_that_are_something_else(self):
        whole = npy(vectors(2, 8, 4))
        self.bad_file("empty.npy", b"")
        self.bad_file("cut.npy", whole[:-5])
        self.bad_file("long.npy", whole + b"x")
        self.bad_file("short.npy", whole[:9])
        self.bad_file("text.npy", b"a,b\n1,2\n" * 30)
        self.bad_file("lying.npy", whole.replace(b"(8, 4)", b"(9, 4)"))
        self.bad_file("huge.npy", whole.replace(b"(8, 4), }", b"(8, 444444444444444), }"))
        self.bad_file("cut.fvecs", struct.pack("<iff", 3, 1, 2))
        self.bad_file("lying.fbin", struct.pack("<IIff", 2, 2, 1, 2))
        self.bad_file("words.csv", "x,y\n" + "1,2\n" * 7 + "3,four\n")
        self.bad_file("ragged.csv", "x,y\n1,2\n3\n")
        self.bad_file("unknown.nonsense", whole)
        self.fails(1, ["search", "a.npy", "--queries", "a.npy"], "a.npy")
        self.fails(1, ["build", "Flat", "--input", "a.vindex", "-o", "x.vindex"], "a.vindex")
        os.mkdir(self.path("folder"))
        self.fails(1, ["info", "folder"], "holds no .npy")
        os.rmdir(self.path("folder"))

    def test_nan_names_file_and_row(self):
        rows = vectors(3, 6, 4)
        rows[4][2] = float("nan")
        self.write_npy("nan.npy", rows)
        self.fails(1, ["build", "Flat", "--input", "a.npy", "--input", "nan.npy", "-o", "x.vindex"],
                   "nan.npy", "row 4", "NaN")
        self.fails(1, ["search", "a.vindex", "--queries", "nan.npy"], "nan.npy", "row 4")
        self.write_labels("l.csv", "aabbcc")
        self.fails(1, ["eval", "--input", "nan.npy", "--labels", "l.csv"], "nan.npy", "row 4")
        os.unlink(self.path("nan.npy"))
        os.unlink(self.path("l.csv"))

    def test_dimensions_that_disagree(self):
        self.write_npy("b.npy", vectors(4, 8, 5))
        for words in (["build", "Flat", "--input", "a.npy", "--input", "b.npy", "-o", "x.vindex"],
                      ["search", "a.vindex", "--queries", "b.npy"],
                      ["eval", "--input", "a.npy", "--labels", "labels.csv", "--queries", "b.npy",
                       "--query-labels", "labels.csv"]):
            self.fails(1, words, "4", "5", "b.npy")
        os.unlink(self.path("b.npy"))

    def test_columns_that_are_not_there(self):
        self.write("t.csv", "x,y\n1,2\n3,4\n")
        for column in "z", "7":
            self.fails(1, ["build", "Flat", "--input", "t.csv", "--id-column", column, "-o", "x"],
                       column)
        os.unlink(self.path("t.csv"))

    def test_ids_given_twice(self):
        self.write("t.csv", "id,x\n7,2\n7,4\n")
        self.fails(1, ["build", "Flat", "--input", "t.csv", "--id-column", "id", "-o", "x"], "7")
        os.unlink(self.path("t.csv"))

    def test_names_with_line_breaks_stay_one_line(self):
        self.fails(1, ["info", "two\nlines.npy"], "two lines.npy")

    def test_devices_are_left_alone(self):
        self.fails(1, ["convert", "a.npy", "/dev/null/x.npy"])
        self.fails(1, ["build", "Flat", "--input", "a.npy", "-o", "/dev/null"], "/dev/null")
        self.fails(1, ["build", "Flat", "--input", "a.npy", "-o", self.folder], self.folder)
        self.assertFalse(os.path.isfile("/dev/null"))

    def test_standard_output_that_is_full(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([VINDEX, "info", "a.npy"], cwd=self.folder, stdout=full,
                                    stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stderr.count("\n"), 1)
        self.assertIn("standard output", result.stderr)

    def test_a_forced_instruction_set_must_exist(self):
        environment = dict(os.environ, VINDEX_SIMD="nonsense")
        self.fails(1, ["search", "a.vindex", "--queries", "a.npy"], "nonsense", env=environment)


if __name__ == "__main__":
    unittest.main()
