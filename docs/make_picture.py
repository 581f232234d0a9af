"""Make the figures of the README from a finished demo run: the table, the verdict and the pictures.

In: a run folder, as `ft-rag demo --out DIR` leaves it. Out: `docs/demo.json`, the block between the `demo` markers of
both READMEs, and, where a Chromium is installed, `docs/report-light.png` and `docs/report-dark.png`.

    make demo && make picture
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
READMES = {"en": DOCS.parent / "README.md", "zh": DOCS.parent / "README.zh-CN.md"}
BLOCK = re.compile(r"(<!-- demo: written by docs/make_picture.py -->\n).*?(<!-- /demo -->)", re.DOTALL)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
WIDTH, HEIGHT, SCALE = 1120, 1200, 2
GAP = 28
"""The picture ends at the last horizontal gap of at least this many CSS pixels, so that it cuts through nothing."""
COLOURS = 96

WORDS = {
    "en": {
        "arm": "arm",
        "abstained": "abstained",
        "tokens": "tokens per question",
        "difference": "**tuned − base** (95 % interval)",
        "of": "{count} of {planned}",
        "metrics": {
            "agreement_with_teacher": "agreement with teacher",
            "faithfulness": "faithfulness (rules)",
            "answer_relevancy": "answer relevancy (rules)",
        },
        "arms": {
            "base": "before: base, an untrained BM25 reader",
            "tuned": "after: tuned",
            "teacher": "teacher",
            "always-refuse": "control: always refuses",
        },
        "note": "Means over {planned} questions of the offline toy models; `n` is given where it is smaller.",
    },
    "zh": {
        "arm": "组",
        "abstained": "拒答",
        "tokens": "每题 token 数",
        "difference": "**微调后 − 微调前**（95% 区间）",
        "of": "{planned} 题中 {count} 题",
        "metrics": {
            "agreement_with_teacher": "与教师一致",
            "faithfulness": "忠实度（规则）",
            "answer_relevancy": "答案相关性（规则）",
        },
        "arms": {
            "base": "微调前：base，未训练的 BM25 阅读器",
            "tuned": "微调后：tuned",
            "teacher": "教师",
            "always-refuse": "对照：一律拒答",
        },
        "note": "离线玩具模型在 {planned} 道题上的平均分；评分题数较少时另注 `n`。",
    },
}


def main(run: Path) -> int:
    """Write everything; return the exit code."""
    source = run / "report.json"
    if not source.exists():
        sys.stderr.write(f"{source}: not there; run `make demo` first, or name the folder of a finished demo\n")
        return 1
    figures = figures_of(json.loads(source.read_text(encoding="utf-8")))
    (DOCS / "demo.json").write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for language, readme in READMES.items():
        if readme.exists():
            text = readme.read_text(encoding="utf-8")
            readme.write_text(with_block(text, demo_block(figures, language)), encoding="utf-8")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        sys.stderr.write("table and verdict are written; no Chromium found for the pictures: apt install chromium\n")
        return 1
    for scheme in ("light", "dark"):
        take_picture(browser, run / "report.html", DOCS / f"report-{scheme}.png", dark=scheme == "dark")
    return 0


def figures_of(report: dict[str, Any]) -> dict[str, Any]:
    """The few numbers that the README repeats."""
    comparison = report["comparison"]
    means = {(row["arm"], row["metric"]): row for row in comparison["arm_metrics"]}
    abstained = {row["arm"]: row["abstained"] for row in comparison["arm_answers"]}
    tokens = {
        row["arm"]: row["prompt_tokens_per_question"] + row["completion_tokens_per_question"]
        for row in comparison["money"]
        if row["prompt_tokens_per_question"] is not None
    }
    return {
        "verdict": report["verdict"],
        "outcome": report["outcome"],
        "planned": comparison["planned"],
        "metrics": comparison["metrics"],
        "arms": [
            {
                "arm": arm,
                "scores": {
                    metric: {"mean": _rounded(row["mean"]), "n": row["scored"]}
                    for metric in comparison["metrics"]
                    if (row := means.get((arm, metric))) is not None
                },
                "abstained": abstained[arm],
                "tokens_per_question": _rounded(tokens.get(arm), 0),
            }
            for arm in comparison["arms"]
        ],
        "differences": {
            row["metric"]: {name: _rounded(row[name]) for name in ("difference", "low", "high", "n")}
            for row in comparison["differences"]
            if (row["base_arm"], row["arm"]) == (comparison["base"], comparison["candidate"])
        },
    }


def demo_block(figures: dict[str, Any], language: str) -> str:
    """The verdict and the table as markdown."""
    words: dict[str, Any] = WORDS[language]
    head = [words["arm"], *(words["metrics"][name] for name in figures["metrics"]), words["abstained"], words["tokens"]]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    rows += [_arm_cells(arm, figures, words) for arm in figures["arms"]]
    rows.append([words["difference"], *(_difference(figures, name) for name in figures["metrics"]), "", ""])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    note = words["note"].format(planned=figures["planned"])
    return f"> {figures['verdict']}\n\n{table}\n\n{note}\n"


def with_block(text: str, block: str) -> str:
    """A README with the block between its markers replaced."""
    if len(BLOCK.findall(text)) != 1:
        raise SystemExit("a README has lost its demo markers: put both back around the table")
    return BLOCK.sub(lambda match: f"{match[1]}{block}{match[2]}", text)


def take_picture(browser: str, page: Path, target: Path, *, dark: bool) -> None:
    """Let the browser draw the top of a page, in one colour scheme."""
    scheme = 0 if dark else 1
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        subprocess.run(  # noqa: S603 - a browser found on the PATH, on a page that we wrote
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--blink-settings=preferredColorScheme={scheme}",
                f"--force-device-scale-factor={SCALE}",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={shot}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        _crop(shot, target)


def _crop(shot: Path, target: Path) -> None:
    import numpy as np
    from PIL import Image

    image = Image.open(shot).convert("RGB")
    pixels = np.asarray(image)
    is_blank = (pixels == pixels[0, 0]).all(axis=(1, 2))
    gap = GAP * SCALE
    ends = [row for row in range(gap, len(is_blank)) if is_blank[row - gap : row].all()]
    bottom = ends[-1] if ends else len(is_blank)
    cropped = image.crop((0, 0, image.width, bottom))
    cropped.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def _arm_cells(arm: dict[str, Any], figures: dict[str, Any], words: dict[str, Any]) -> list[str]:
    scores = [_score(arm["scores"].get(metric), figures["planned"]) for metric in figures["metrics"]]
    abstained = words["of"].format(count=arm["abstained"], planned=figures["planned"])
    tokens = arm["tokens_per_question"]
    return [words["arms"].get(arm["arm"], arm["arm"]), *scores, abstained, "–" if tokens is None else f"{tokens:,.0f}"]


def _score(score: dict[str, Any] | None, planned: int) -> str:
    if score is None or score["mean"] is None:
        return "–"
    return f"{score['mean']:.3f}" + ("" if score["n"] == planned else f" (n = {score['n']})")


def _difference(figures: dict[str, Any], metric: str) -> str:
    row = figures["differences"].get(metric)
    if row is None or row["difference"] is None:
        return "–"
    interval = f" ({_signed(row['low'])} … {_signed(row['high'])})" if row["low"] is not None else ""
    return f"{_signed(row['difference'])}{interval}"


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def _signed(value: float) -> str:
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")))
