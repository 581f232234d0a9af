"""The loop of the 2023 post in today's LlamaIndex, in the post's order.

Needs `pip install "llama-index-ft-rag[all]"`, a document, and a service that speaks the OpenAI API:
OPENAI_BASE_URL and OPENAI_API_KEY in the environment. Without a key, in another terminal: `ft-rag serve-offline`.

    python examples/post_2023.py REPORT train_questions.txt eval_questions.txt
"""

import os
import sys
from pathlib import Path

from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager

from llama_index_ft_rag import (
    DatasetGenerator,
    Endpoint,
    OpenAIFinetuneEngine,
    OpenAIFineTuningHandler,
    evaluate,
    load_documents,
    split_documents,
)

TEACHER = os.environ.get("TEACHER", "offline-teacher")
STUDENT = os.environ.get("STUDENT", "offline-student")
EMBEDDING = os.environ.get("EMBEDDING", "offline-embedding")


def main(report: str, train_file: str, eval_file: str) -> None:
    endpoint = Endpoint.from_environment()
    Settings.embed_model = endpoint.embedding(EMBEDDING)
    Settings.context_window = 2048  # small on purpose, as in the post: answers get refined
    documents = load_documents([report])

    # 1. Questions: generated once from different passages, then kept in files.
    nodes = split_documents(documents)
    for path, passages in ((train_file, nodes[::2]), (eval_file, nodes[1::2])):
        if not Path(path).exists():
            generator = DatasetGenerator(passages, endpoint.llm(TEACHER))
            Path(path).write_text("\n".join(generator.generate_questions_from_nodes(40)) + "\n", encoding="utf-8")
    train_questions = Path(train_file).read_text(encoding="utf-8").splitlines()
    eval_questions = Path(eval_file).read_text(encoding="utf-8").splitlines()

    # 2. The teacher answers; the handler records every prompt and answer.
    finetuning_handler = OpenAIFineTuningHandler()
    Settings.callback_manager = CallbackManager([finetuning_handler])
    index = VectorStoreIndex.from_documents(documents)
    query_engine = index.as_query_engine(similarity_top_k=2, llm=endpoint.llm(TEACHER))
    for question in train_questions:
        query_engine.query(question)
    Settings.callback_manager.remove_handler(finetuning_handler)  # a new CallbackManager([]) would take it over

    # 3. Fine-tuning.
    finetuning_handler.save_finetuning_events("finetuning_events.jsonl")
    finetune_engine = OpenAIFinetuneEngine(STUDENT, "finetuning_events.jsonl", base_url=endpoint.base_url)
    finetune_engine.finetune()
    finetune_engine.wait()
    ft_llm = finetune_engine.get_finetuned_model(temperature=0.3)

    # 4. Scores before and after.
    for name, llm in (("base", endpoint.llm(STUDENT)), ("tuned", ft_llm)):
        query_engine = index.as_query_engine(similarity_top_k=2, llm=llm)
        contexts, answers = [], []
        for question in eval_questions:
            response = query_engine.query(question)
            contexts.append([node.node.get_content() for node in response.source_nodes])
            answers.append(str(response))
        dataset = {"question": eval_questions, "answer": answers, "contexts": contexts}
        judge = endpoint.llm(TEACHER)
        result = evaluate(dataset, ["answer_relevancy", "faithfulness"], llm=judge, embeddings=Settings.embed_model)
        print(name, result)
        result.to_pandas().to_csv(f"scores-{name}.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:4])
