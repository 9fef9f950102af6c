"""Labels joined to embeddings, folders of recordings, matrices out of containers."""
import json
import os
import unittest

from harness import CliTest, npy, vectors

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "io", "fixtures")


class LabelsTest(CliTest):
    def setUp(self):
        super().setUp()
        self.rows = vectors(1, 8, 3)
        self.works = ["W_1", "W_1", "W_2", "W_2", "W_3", "W_3", "W_4", "W_4"]
        for i, (work, row) in enumerate(zip(self.works, self.rows)):
            os.makedirs(self.path(f"songs/{work}"), exist_ok=True)
            self.write_npy(f"songs/{work}/P_{i}.npy", [row])
        self.write_npy("songs.npy", self.rows)
        self.write_labels("labels.csv", self.works)
        self.expected = self.ok_json("eval", "--input", "songs.npy", "--labels", "labels.csv")
        self.ids = [f"{work}/P_{i}" for i, work in enumerate(self.works)]

    def table(self, name, pairs):
        return self.write(name, "track_id,work_id\n" + "".join(f"{i},{w}\n" for i, w in pairs))

    def evaluate(self, labels, *more):
        return self.run_vindex("eval", "--input", "songs", "--labels", labels, "--json", *more)

    def same(self, labels, note=None):
        """The labels must give what they give by row; the note is all that is said."""
        result = self.evaluate(labels)
        self.assertEqual(result.returncode, 0, result.stderr)
        found = json.loads(result.stdout)
        for key in "MAP", "MR1", "queries", "noise":
            self.assertEqual(found[key], self.expected[key])
        if note is None:
            self.assertEqual(result.stderr, "")
        else:
            self.assertIn(note, result.stderr)
        quiet = self.evaluate(labels, "--quiet")
        self.assertEqual((quiet.returncode, quiet.stderr), (0, ""))

    def test_exact_ids_in_any_order(self):
        self.table("l.csv", reversed(list(zip(self.ids, self.works))))
        self.same("l.csv")
        self.table("twice.csv", list(zip(self.ids, self.works)) * 2)
        self.same("twice.csv")

    def test_folder_names(self):
        self.same("songs")

    def test_ids_without_folders_or_ending(self):
        self.table("l.csv", [(f"P_{i}", w) for i, w in enumerate(self.works)])
        self.same("l.csv", "8 of 8 ids are found without their folders or ending")
        self.table("l.csv", [(f"{i}.npy", w) for i, w in zip(self.ids, self.works)])
        self.same("l.csv", "8 of 8")
        self.table("l.csv", [(f"da-tacos/P_{i}.mp3", w) for i, w in enumerate(self.works)])
        self.same("l.csv", "8 of 8")

    def test_what_is_ambiguous_is_not_found(self):
        self.table("l.csv", [(f"x/P_{i}", w) for i, w in enumerate(self.works)] +
                   [("y/P_3", "W_2"), ("y/P_5", "W_3")])
        self.fails(1, ["eval", "--input", "songs", "--labels", "l.csv"],
                   "no label for 2 of 8 ids, such as 'W_2/P_3', 'W_3/P_5'",
                   "such as of 'x/P_3', 'x/P_5', 'y/P_3'")
        self.write_npy("songs/P_3.npy", [self.rows[0]])
        self.table("l.csv", [(f"P_{i}", w) for i, w in enumerate(self.works)])
        result = self.evaluate("l.csv")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no label for 1 of 9 ids, such as 'W_2/P_3'", result.stderr)

    def test_labels_for_half_of_the_rows(self):
        self.table("l.csv", list(zip(self.ids, self.works))[:4])
        self.fails(1, ["eval", "--input", "songs", "--labels", "l.csv"],
                   "no label for 4 of 8 ids, such as 'W_3/P_4', 'W_3/P_5', 'W_4/P_6'")
        self.write("l.txt", "\n".join(self.works[:4]) + "\n")
        self.fails(1, ["eval", "--input", "songs", "--labels", "l.txt"], "4 labels for 8 rows")
        self.fails(1, ["eval", "--input", "songs.npy", "--labels", "l.txt"], "4 labels for 8 rows")

    def test_labels_of_others(self):
        self.table("l.csv", list(zip(self.ids, self.works)) + [("P_77", "W_9"), ("P_78", "W_9")])
        self.same("l.csv", "2 of its 10 labels are of ids that are not asked for, such as 'P_77'")
        self.table("l.csv", [(f"Q_{i}", w) for i, w in enumerate(self.works)])
        self.fails(1, ["eval", "--input", "songs", "--labels", "l.csv"],
                   "no label for 8 of 8 ids", "left over, such as of 'Q_0', 'Q_1', 'Q_2'")

    def test_two_labels_of_one_id(self):
        self.table("l.csv", list(zip(self.ids, self.works)) + [(self.ids[3], "W_1")])
        self.fails(1, ["eval", "--input", "songs", "--labels", "l.csv"],
                   "id 'W_2/P_3' has two labels")

        self.table("rows.csv", [(f"P_{i % 7}", w) for i, w in enumerate(self.works)])
        self.fails(1, ["eval", "--input", "songs.npy", "--labels", "rows.csv"],
                   "id 'P_0' has two labels")

    def test_repeated_ids(self):
        lines = [f"{i},{x[0]},{x[1]}" for i, x in zip("abcdefga", self.rows)]
        self.write("t.csv", "id,x,y\n" + "\n".join(lines) + "\n")
        self.write("l.txt", "\n".join(self.works) + "\n")
        self.fails(1, ["eval", "--input", "t.csv", "--id-column", "id", "--labels", "l.txt"],
                   "two recordings have one id, 'a', at rows 0 and 7")

    def test_segments_must_be_asked_for(self):
        self.write_npy("songs/W_4/P_8.npy", vectors(3, 3, 3))
        self.fails(1, ["eval", "--input", "songs", "--labels", "songs"],
                   "rows 8 and 9 have one id, 'W_4/P_8'", "11 rows are of 9 recordings")

    def test_folders_are_read_by_every_verb(self):
        self.ok("convert", "songs", "out.npy")
        self.ok("convert", "songs.npy", "same.npy")
        with open(self.path("out.npy"), "rb") as one, open(self.path("same.npy"), "rb") as two:
            self.assertEqual(one.read(), two.read())
        self.write("songs/notes.txt", "x")
        info = self.run_vindex("info", "songs")
        self.assertIn("1 files that are hidden or of another ending were skipped", info.stderr)
        self.assertRegex(info.stdout, r"skipped files +1\n")
        self.write("songs/W_1/P_9.npy", npy(vectors(1, 1, 4)))
        self.fails(1, ["info", "songs"], "rows of 'W_1/P_9.npy' have 4 numbers")

    def fixture(self, name):
        return os.path.join(FIXTURES, "h5", name)

    def test_containers(self):
        info = self.ok_json("info", self.fixture("ann.h5"))
        self.assertEqual([m["key"] for m in info["members"]],
                         ["distances", "neighbors", "test", "train"])
        self.assertRegex(self.ok("info", self.fixture("ann.h5")), r"--key +train: 6 x 4 f32\n")
        self.assertEqual(self.ok_json("info", self.fixture("ann.h5"), "--key", "train")["rows"], 6)
        self.fails(1, ["convert", self.fixture("ann.h5"), "x.npy"], "choose a key")
        found = self.ok_json("eval", "--input", self.fixture("single.h5"))
        self.assertEqual((found["queries"], found["noise"]), (4, 1))
        again = self.ok_json("eval", "--input", self.fixture("single.h5"), "--labels",
                             self.fixture("single.h5"), "--labels-key", "labels")
        self.assertEqual(found["MAP"], again["MAP"])

    def test_matrices(self):
        """A member of an acoss file is what the same numbers are as .npy."""
        self.write("l.txt", "a\na\nb\nb\nc\nc\n")
        ds = self.fixture("Ds.h5")
        self.ok("convert", ds, "early.npy", "--key", "early")
        for flag in "--similarity", "--distance":
            one = self.ok_json("eval", flag, ds, "--key", "early", "--labels", "l.txt")
            two = self.ok_json("eval", flag, "early.npy", "--labels", "l.txt")
            del one["seconds"], two["seconds"]
            self.assertEqual(one, two)
        self.fails(1, ["eval", "--similarity", ds, "--labels", "l.txt"], "chroma (6 x 6 f32)")
        self.write("five.txt", "a\na\nb\nb\nc\n")
        self.fails(1, ["eval", "--similarity", "early.npy", "--labels", "five.txt"],
                   "5 labels for 6 columns")
        self.fails(1, ["eval", "--similarity", "songs.npy", "--labels", "l.txt"],
                   "8 rows and 3 columns")


if __name__ == "__main__":
    unittest.main()
