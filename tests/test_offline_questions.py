"""The rule-based question writer."""

import pytest

from llama_index_ft_rag.offline.responder import ChatRequest
from llama_index_ft_rag.offline.toys.english_clauses import Wording, read_wording
from llama_index_ft_rag.offline.toys.question_writer import pick_questions, question_behind, write_questions
from llama_index_ft_rag.offline.toys.questions_chinese import chinese_questions
from llama_index_ft_rag.offline.toys.questions_english import english_questions
from llama_index_ft_rag.offline.toys.readers import BuiltInResponder

PAGE = (
    "page_label: 4\nfile_name: harbor.pdf\n\nTable of Contents\n"
    "Harbor Light employs 420 people at its two yards. Harbor Light was founded in March 1968.\n"
    "Our revenue was $41.2 million in fiscal 2024, compared with $38.0 million in fiscal 2023.\n"
    "This annual report contains forward-looking statements. Refer to Note 4 for more.\n"
    "Late deliveries could harm our reputation with port authorities.\n\n"
    "Revenue 41.2 38.0 35.5\nCost of revenue 20.1 19.0 18.2\n"
)
TURNED = """
Revenue was $41.2 million in fiscal 2024, up from $38.0 million.
    What was revenue in fiscal 2024?
Inventory totaled $3.1 million at June 30, 2024.
    What was inventory at June 30, 2024?
Lantern sales grew 8% in fiscal 2024.
    By how much did lantern sales grow in fiscal 2024?
As of May 31, 2024, we had 420 employees in nine ports.
    How many employees did the company have as of May 31, 2024?
We invested $3.1 million in new glass furnaces.
    How much did the company invest in new glass furnaces?
We have invested over $9 million in glass research.
    How much has the company invested in glass research?
At year end 2024, we had $9.5 million of unrestricted cash.
    How much unrestricted cash did the company have at year end 2024?
We recorded a restructuring charge of $2.0 million in fiscal 2024.
    How large was the restructuring charge in fiscal 2024?
Ports in Norway accounted for 40% of lantern revenue in fiscal 2024.
    What share of lantern revenue did ports in Norway account for in fiscal 2024?
The northern yard was opened in May 2019.
    When was the northern yard opened?
In May 2019, we acquired the northern yard.
    When did the company acquire the northern yard?
Ada Brook joined the company in 2019 as head of sales.
    Who joined the company in 2019?
Ada Brook, 54, has been Chief Lamp Officer since 2019.
    Who is the company's Chief Lamp Officer?
Ada Brook became Chief Lamp Officer in 2019.
    Who became the company's Chief Lamp Officer?
Lantern sales fell in the spring because two storms closed the ports.
    Why did lantern sales fall in the spring?
The decline in lantern revenue was driven by two storms.
    What drove the decline in lantern revenue?
The decline in lantern revenue was primarily due to two storms.
    What was the decline in lantern revenue primarily due to?
The northern yard is located in Bergen, Norway.
    Where is the northern yard located?
The cost of glass is measured using the average price.
    How is the cost of glass measured?
We recognize revenue from lamps when they are delivered.
    When does the company recognize revenue from lamps?
Our lead glaziers are supported by three trade schools.
    What are the company's lead glaziers supported by?
Late deliveries could harm our reputation with port authorities.
    What could harm the company's reputation with port authorities?
A dioptric lens is a ring of prisms that bends light.
    What is a dioptric lens?
Our northern lantern business depends on two glass makers.
    What does the company's northern lantern business depend on?
We use ground quartz to polish large lenses.
    What does the company use to polish large lenses?
We believe that our lantern yards are in good order.
    What does the company believe about its lantern yards?
In fiscal 2024, we introduced the Beacon 6 lamp.
    What did the company introduce in fiscal 2024?
There are 31 lighthouses in the northern district.
    How many lighthouses are there in the northern district?
If we fail to deliver lanterns in time, ports may cancel.
    What happens if the company fails to deliver lanterns in time?
Most glass furnaces run all year round.
    What does the report say about most glass furnaces?
"""


def in_pairs(table):
    """Every two lines of a table, stripped."""
    lines = [line.strip() for line in table.strip().splitlines()]
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.parametrize(("sentence", "question"), in_pairs(TURNED))
def test_a_sentence_is_turned_into_the_question_it_answers(sentence, question):
    """Figures, dates, people, reasons, places, manners and risks each get their own question."""
    asked = english_questions(sentence, wording=Wording())

    assert [one.text for one in asked][:1] == [question]


@pytest.mark.parametrize(
    "sentence",
    [
        "It was $3 million.",
        "These were sold in 2019.",
        "lower prices than before.",
        "That the port which was closed is open.",
        "No storm was recorded.",
        "Yes.",
    ],
)
def test_a_sentence_that_needs_its_context_gets_no_question(sentence):
    """A question that nobody could answer without the page is worse than none."""
    assert english_questions(sentence, wording=Wording()) == []


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("2025年营业收入为840.0，2024年为780.0。", "2025年营业收入是多少？"),
        ("水质监测分部 2025 年收入为 412.6。", "2025年水质监测分部收入是多少？"),
        ("海外收入占营业收入的28.0%。", "海外收入占营业收入的比例是多少？"),
        ("2025年营业收入同比增长7.7%。", "2025年营业收入增长了多少？"),
        ("截至2025年末，公司共有员工1,286人。", "2025年末公司共有员工多少人？"),
        ("光谱仪器公司成立于2003年。", "光谱仪器公司是什么时候成立的？"),
        ("2024年8月，公司收购了北方灯塔。", "公司什么时候收购了北方灯塔？"),
        ("公司的总经理为陆景和。", "公司的总经理是谁？"),
        ("毛利率上升主要是因为自制光栅。", "毛利率上升的原因是什么？"),
        ("公司总部位于澜溪市。", "公司总部位于哪里？"),
        ("探测器芯片由北岬提供。", "探测器芯片由谁提供？"),
        ("公司的主要产品包括灯具和镜片。", "公司的主要产品包括哪些内容？"),
        ("灯具业务取决于港口预算。", "灯具业务依赖什么？"),
        ("一旦港口停止订货，库存会上升。", "如果港口停止订货，会怎么样？"),
    ],
)
def test_chinese_sentences_get_chinese_questions(sentence, question):
    """The language of the question is that of the text."""
    assert [one.text for one in chinese_questions(sentence)][:1] == [question]


def test_questions_are_numbered_lines_in_the_order_of_the_text():
    """No preamble, no boilerplate, no table, no metadata: only questions."""
    assert write_questions(PAGE, count=4) == (
        "1. How many people does Harbor Light employ?\n"
        "2. When was Harbor Light founded?\n"
        "3. What was Harbor Light's revenue in fiscal 2024?\n"
        "4. What could harm Harbor Light's reputation with port authorities?"
    ).replace("Harbor Light's", "the company's")


def test_a_company_that_acts_often_enough_is_called_by_its_name():
    """`we` becomes the name where the text says clearly who speaks."""
    page = f"{PAGE}Harbor Light owns two yards and Harbor Light sells in nine countries."

    assert read_wording(page).company == "Harbor Light"
    assert "What was Harbor Light's revenue in fiscal 2024?" in pick_questions(page, count=9)


def test_no_more_questions_than_asked_and_none_twice():
    """The count is a limit; a text that repeats itself is not asked about twice."""
    twice = pick_questions(PAGE + PAGE, count=50)

    assert len(pick_questions(PAGE, count=2)) == 2
    assert len(twice) == len(set(twice))


def test_a_text_without_sentences_gets_no_questions():
    """A page of figures yields an empty answer rather than nonsense."""
    assert write_questions("Revenue 41.2 38.0 35.5\nCost 20.1 19.0 18.2\n", count=5) == ""


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("Revenue was $3 million in 2024. It grew.", "What was revenue in 2024?"),
        ("I do not know. Lantern sales grew 8% in 2024.", "By how much did lantern sales grow in 2024?"),
        ("Because of storms.", "What does the company say about because of storms?"),
        ("2025年营业收入为840.0。", "2025年营业收入是多少？"),
        ("风暴。", "关于风暴，有什么说明？"),
    ],
)
def test_the_question_behind_an_answer_is_guessed(answer, question):
    """The judge turns an answer around in the same way."""
    assert question_behind(answer) == question


def test_any_model_writes_questions_when_asked():
    """A question prompt is answered with questions, whichever model gets it."""
    prompt = (
        f"Context information is below.\n---------------------\n{PAGE}\n---------------------\n"
        "Given the context information, generate 2 questions.\n"
    )
    request = ChatRequest(model="offline-student", messages=[{"role": "user", "content": prompt}])

    assert BuiltInResponder(seed=0).chat(request).content == write_questions(PAGE.strip(), count=2)
