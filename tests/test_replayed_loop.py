"""The whole way from documents to a report, replayed from one cassette: no service, no network, no key."""

import pytest
from fakes import write_report

from llama_index_ft_rag import Endpoint, distill


@pytest.mark.vcr
def test_the_whole_loop_on_ten_questions(service, tmp_path):
    """Questions, teacher's answers, a job, answers of all arms, scores and a verdict come out of a cassette."""
    run = distill(
        documents=write_report(tmp_path / "report.md", departments=16),
        student=service.models["student"],
        teacher=service.models["teacher"],
        judge=service.models["judge"],
        embed_model=service.models["embedding"],
        train_questions=10,
        eval_questions=5,
        chunk_size=128,
        concurrency=1,  # so that recording it again gives the same file
        out=tmp_path / "run",
        endpoint=Endpoint(base_url=service.url, api_key=service.key, max_retries=0),
    )

    assert {"base", "tuned", "teacher"} <= set(run.comparison.arms)
    assert (run.folder / "report.html").is_file()
    assert run.llm.metadata.model_name.startswith("ft:")
