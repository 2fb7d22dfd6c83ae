from clrnn_tf.recording.coverage import coverage_table, few_vectors

SHARES = {
    "en": {"train": 0.97, "test": 0.9, "validation": 0.95},
    "fi": {"train": 0.805, "test": 0.7},
    "lt": {"train": 0.95, "test": 0.89},
}


def test_the_log_names_the_tasks_with_few_vectors_in_any_split():
    assert few_vectors({"coverage": SHARES}) == (
        "words with a vector: fi 80 % (train), 70 % (test); lt 95 % (train), 89 % (test); 90 % or more in all others"
    )
    assert few_vectors({"coverage": {"fi": {"test": 0.7}}}) == "words with a vector: fi 70 % (test)"
    assert few_vectors({"coverage": {"en": SHARES["en"]}}) == few_vectors({}) == ""


def test_the_report_shows_the_share_of_words_that_have_a_vector():
    table = coverage_table({"coverage": SHARES})
    assert "<tr><th>task</th><th>train</th><th>test</th><th>validation</th></tr>" in table
    assert "<tr><td>en</td><td>97.0</td><td>90.0</td><td>95.0</td></tr>" in table
    assert "<tr><td>fi</td><td>80.5</td><td>70.0</td><td>–</td></tr>" in table
    assert coverage_table({}) == ""


def test_coverage_that_is_damaged_in_a_file_is_left_out():
    assert coverage_table({"coverage": 3}) == coverage_table({"coverage": {"<b>": 3}}) == ""
    assert "&lt;b&gt;" in coverage_table({"coverage": {"<b>": {"test": 0.5}}})


def test_full_coverage_is_a_sentence():
    assert coverage_table({"coverage": {"en": {"test": 1.0}}}) == "<p>All words have a vector.</p>"
