"""Writes what tools/benchmark measured into the README's table and into docs/projections.md: results.py FOLDER README
PROJECTIONS."""
import csv
import json
import pathlib
import sys

BEGIN, END = "<!-- results: written by tools/benchmark -->", "<!-- end of results -->"


def flat_rows(path):
    lines = path.read_text().splitlines()
    header = lines[0]
    return list(csv.DictReader([header] + [line for line in lines if line != header]))


def find(rows, engine, dim, single, threads):
    for row in rows:
        if (row["engine"] == engine and int(row["dim"]) == dim and int(row["threads"]) == threads
                and (int(row["queries"]) == 1) == single):
            return row
    raise SystemExit(f"results.py: no measurement of {engine} at {dim} dimensions; run tools/benchmark")


def search_lines(rows, threads):
    engines = ["vindex Flat,Certified", "vindex Flat", "vindex Flat,f16", "vindex Flat,bf16", "Faiss IndexFlatL2",
               "hnswlib brute force", "naive double loop"]
    yield "| exact L2, k = 10, ms per query | 1M x 128, one query | 1M x 1536, one query | 1M x 128, 1,000 queries |"
    yield "|---|---|---|---|"
    for count in threads:
        for engine in engines:
            single = engine.startswith(("hnswlib", "naive"))
            if single and count != threads[0]:
                continue  # they have no threads
            cells = [f"{engine}, {count} thread" + ("s" if count > 1 else "")]
            for dim in (128, 1536):
                row = find(rows, engine, dim, True, count)
                share = float(row["gb_per_second"]) / float(row["read_gb_per_second"])
                cells.append(f"{float(row['ms_per_query']):.1f} ({share:.0%} of read)")
            if single:
                cells.append("-")
            else:
                row = find(rows, engine, 128, False, count)
                cells.append(f"{float(row['ms_per_query']):.2f} ({float(row['gflop_per_second']):.0f} GFLOP/s)")
            yield "| " + " | ".join(cells) + " |"


# Milliseconds that papers print for one query on one core, by rows and dimensions.
PUBLISHED = {(1000000, 128): "141 (ByteCover2, Table 2)", (1000000, 1536): "2601 (ByteCover2, Table 2)",
             (10000000, 256): "320 (Less is more, footnote 3)"}


def large_lines(path):
    """Simulated embeddings, up to ten million; nothing where they were not measured."""
    if not path.exists():
        return
    rows = flat_rows(path)
    others = ["vindex Flat", "Faiss IndexFlatL2"]
    yield ""
    yield ("| exact, k = 10, simulated embeddings, ms per query | vindex Flat,Certified | " + " | ".join(others) +
           " | published, one core |")
    yield "|---|" + "---|" * (len(others) + 2)
    cases = {}
    for row in rows:
        case = tuple(row[name] for name in ("data", "rows", "dim", "queries", "threads"))
        cases.setdefault(case, {})[row["engine"]] = row
    for (data, count, dim, queries, threads), found in cases.items():
        single, ours = int(queries) == 1, float(found["vindex Flat,Certified"]["ms_per_query"])
        what = "one query" if single else f"{int(queries):,} queries"
        cells = [f"{data}, {int(count):,} x {dim}, {what}, {threads} thread" + ("s" if threads != "1" else "")]
        cells.append(f"{ours:.2f}")
        for engine in others:
            other = float(found[engine]["ms_per_query"]) if engine in found else None
            cells.append(f"{other:.2f} ({other / ours:.1f} times as long)" if other else "-")
        cells.append(PUBLISHED.get((int(count), int(dim)), "-") if single and data != "falling" else "-")
        yield "| " + " | ".join(cells) + " |"


def build_lines(path):
    """How fast rows are added; nothing where it was not measured."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        found = json.loads(line)
        built = {build["spec"]: build for build in found["builds"]}
        kinds = "; ".join(f"{spec.removeprefix('Flat,')} {build['beside_vectors']:.0%}"
                          for spec, build in built.items() if spec != "Flat")
        threads = f"{found['threads']} thread" + ("s" if found["threads"] > 1 else "")
        yield (f"| add {found['rows']:,} x {found['dim']:,} (simulated) to `Flat,Certified`, codes chosen and made, {threads} | "
               f"{built['Flat,Certified']['rows_per_second']:,.0f} rows per second "
               f"(`Flat`: {built['Flat']['rows_per_second']:,.0f}) |")
    yield f"| memory beside the vectors (float32, {found['dim']} dimensions), by kind of codes | {kinds} |"


def rank_lines(path):
    """Search through a projection; nothing where it was not measured."""
    if not path.exists():
        return
    found = json.loads(path.read_text())
    yield (f"| one query over {found['rows']:,} x {found['dim']:,} (simulated, rank {found['rank']}) by "
           f"`Rank,Flat,Certified`, projection included | {found['query_ms']:.1f} ms by one thread, "
           f"{found['query_ms_all']:.1f} ms by {found['threads']} (published: 18,430 ms on one core, Less is more, "
           f"footnote 3); {found['ids_of_brute_force']:.0%} of the ids those of "
           f"a brute-force search; {found['add_rows_per_second_all']:,.0f} rows added per second |")


def recall_lines(folder):
    """Queries per second at a recall, of simulated sets; nothing where they were not measured."""
    rows, levels = [], ["0.80", "0.90", "0.95", "0.99"]
    for path in sorted(folder.glob("recall-*.csv")):
        rows += flat_rows(path)
    indexes = {}
    for row in rows:
        if row["settings"].startswith("at "):
            what = tuple(row[name] for name in ("data", "rows", "dim", "k", "threads", "build_threads", "engine", "spec"))
            indexes.setdefault(what, {})[row["settings"][3:], row["calls"]] = row
    if not indexes:
        return
    yield ""
    yield ("| approximate: queries per second at a recall, all in one call / one call each; vindex's graphs after "
           "vindex_reorder, which is part of add | " + " | ".join(levels) +
           " | train + add, s | bytes per vector |")
    yield "|---|" + "---|" * (len(levels) + 2)
    for (data, count, dim, k, threads, building, engine, spec), found in indexes.items():
        cells = [f"{engine} {spec}; {data}, {int(count):,} x {dim}, k = {k}, {threads} thread"
                 f"{'s' if threads != '1' else ''} ({building} to build)"]
        for level in levels:
            speeds = [float(row["qps"]) for (at, _), row in sorted(found.items(), reverse=True) if at == level]
            cells.append(" / ".join(f"{speed:,.0f}" if speed else "-" for speed in speeds))
        one = next(iter(found.values()))
        cells.append(f"{float(one['train_seconds']) + float(one['add_seconds']):.1f}")
        cells.append(f"{float(one['bytes']) / int(count):.0f}")
        yield "| " + " | ".join(cells) + " |"


def change_lines(path):
    """What the changes in an index's life cost; nothing where it was not measured."""
    if not path.exists():
        return
    indexes = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        indexes.setdefault(row["spec"], []).append(row)
    steps = ["build", "reorder", "remove half", "compact", "half alone", "add half", "merge halves"]
    yield ""
    one = next(iter(indexes.values()))[0]
    yield (f"| an index changes: {one['data']}, {int(one['rows']):,} x {one['dim']} (simulated), {one['threads']} threads; "
           "seconds, then recall@10 at ef = 64, nprobe = 16 | " + " | ".join(steps) + " |")
    yield "|---|" + "---|" * len(steps)
    for spec, rows in indexes.items():
        found = {row["step"]: f"{float(row['seconds']):.3g} s, {float(row['recall']):.4f}" for row in rows}
        yield f"| {spec} | " + " | ".join(found.get(step, "-") for step in steps) + " |"


def projection_lines(found):
    fit, rank, apply = found["fit"], found["rank"]["steps"][0]["facts"], found["apply"]
    yield (f"| PCA of {fit['rows']:,} x {fit['dim']:,} (simulated, streamed) to {fit['output_dim']} | "
           f"{fit['seconds']:.0f} s; {found['peak_megabytes']:,} MB at most for a file of "
           f"{found['file_megabytes']:,} MB |")
    yield (f"| `--dim auto` on {found['rank']['rows']:,} x {found['rank']['dim']:,} (simulated) | rank "
           f"{rank['rank']:.0f}; held-out distances kept to {rank['distance_error']:.1g}, in "
           f"{found['rank']['seconds']:.1f} s |")
    yield (f"| apply {apply['in']:,} to {apply['out']} to {apply['rows']:,} rows, {apply['threads']} threads | "
           f"{apply['apply_gflops_all']:.0f} GFLOP/s, {apply['apply_gflops_all'] / apply['sgemm_gflops_all']:.0%} of "
           f"OpenBLAS's sgemm; one query alone {apply['query_ms_all']:.1f} ms |")


def other_lines(folder, threads):
    yield "| what | measured |"
    yield "|---|---|"
    kernels = json.loads((folder / "kernels.json").read_text())
    tile = max(row["gflop_per_second"] for row in kernels["kernels"] if row["kernel"] == "tile select")
    yield (f"| memory read by one thread, by {kernels['threads']} | {kernels['read_gb_per_second']:.1f}, "
           f"{kernels['read_gb_per_second_all_threads']:.1f} GB/s |")
    yield (f"| batch tile, one thread | {tile:.0f} GFLOP/s, "
           f"{tile / kernels['peak_gflop_per_second']:.0%} of the arithmetic peak |")
    for line in (folder / "eval.json").read_text().splitlines():
        found = json.loads(line)
        report = found["report"]
        yield (f"| evaluate 15,000 x {found['dim']:,} (simulated), every measure, {threads[-1]} threads | "
               f"{report['seconds']:.2f} s; {found['peak_megabytes']:,} MB at most for a file of "
               f"{found['file_megabytes']:,} MB; MAP {report['MAP']:.3f} |")
        other = found.get("torch")
        if other:
            yield (f"| the same by the public formulas in torch {other['torch']}, {other['threads']} threads | "
                   f"{other['seconds']:.1f} s ({other['seconds'] / report['seconds']:.0f} times as long); "
                   f"MAP {other['printed']['mAP']:.3f} |")
    yield from projection_lines(json.loads((folder / "projections.json").read_text()))
    yield from rank_lines(folder / "rank.json")
    yield from build_lines(folder / "build.json")
    opened = json.loads((folder / "open.json").read_text())
    yield (f"| open an index of {opened['gigabytes']:.1f} GB, mapped, checks deferred | {opened['open_ms']:.2f} ms; "
           f"full check {opened['verify_seconds']:.1f} s |")


def reduction_lines(path):
    yield "| simulated embeddings made smaller | dim | metric | MAP, simulated | MAP, published | fit, CPU s |"
    yield "|---|---|---|---|---|---|"
    for row in csv.DictReader(path.read_text().splitlines()):
        cells = [row[name] for name in ("method", "dim", "metric", "map_simulated", "map_published", "fit_cpu_seconds")]
        yield "| " + " | ".join(cells) + " |"


def put(path, lines):
    """Between the two marks of a file."""
    before, rest = path.read_text().split(BEGIN)
    path.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n" + END + rest.split(END)[1])


def main():
    folder, readme, projections = map(pathlib.Path, sys.argv[1:4])
    rows = flat_rows(folder / "flat.csv")
    threads = sorted({int(row["threads"]) for row in rows})
    machine = (folder / "machine.txt").read_text().strip().rsplit(",", 1)
    table = [f"Measured by `tools/benchmark` on {machine[1]} cores of an {machine[0].strip()}, simulated Gaussian vectors, "
             "all engines in one process, Faiss with a tuned BLAS. \"of read\" compares with the time that reading every "
             "number takes at the memory bandwidth measured in the same run: `Certified` passes 100% because it proves "
             "most vectors away without reading them. GFLOP/s likewise count the operations of the plain method.", ""]
    table += list(search_lines(rows, threads)) + list(large_lines(folder / "large.csv"))
    table += list(recall_lines(folder)) + list(change_lines(folder / "changes.csv")) + [""]
    table += list(other_lines(folder, threads))
    put(readme, table)
    if (folder / "reductions.csv").exists():
        put(projections, reduction_lines(folder / "reductions.csv"))


main()
