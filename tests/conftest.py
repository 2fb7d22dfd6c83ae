"""Which tests are left to `make test-slow`, beside those that say so themselves, and which share a process."""

import pytest

SLOW = """
test_command_line.py::test_a_run_is_continued_after_its_last_finished_task
test_command_line.py::test_an_existing_run_is_not_overwritten
test_command_line.py::test_the_stored_settings_rebuild_the_run
test_command_line.py::test_closed_and_full_streams_leave_no_traceback
test_inference.py::test_a_finished_run_can_be_tested_without_its_tasks_later
test_docs.py::test_the_metric_of_the_page_is_measured
test_export_bundle.py::test_a_bundle_is_verified_with_all_its_versions
test_traces.py::test_a_method_takes_the_stored_steps[generative_replay]
test_traces.py::test_a_method_takes_the_stored_steps[hnet_replay, online]
test_traces.py::test_a_method_takes_the_stored_steps[hnet_replay]
test_run_directory.py::test_a_run_on_a_disk_that_fails_ends_in_one_line_and_can_be_continued
test_benchmarks.py::test_steps_of_other_methods_run
test_learning.py::test_a_run_continued_after_a_task_ends_like_one_that_went_through[False]
test_flags.py::test_a_preset_can_be_run_with_another_method
test_flags.py::test_a_file_among_the_methods_is_all_that_a_method_needs
test_training.py::test_bfloat16_learns_like_float32_and_keeps_variables_in_float32
test_padding.py::test_learning_and_testing[generative_replay-options6-sigmoid-False]
test_padding.py::test_learning_and_testing[online_ewc-options4-softmax-False]
test_padding.py::test_learning_and_testing[online_ewc-options2-sigmoid-False]
test_padding.py::test_learning_and_testing[online_ewc-options3-linear-False]
test_cognitive_tasks.py::test_a_quick_run_of_the_command
test_speech_commands.py::test_a_quick_run_ends
test_published_terms.py::test_a_run_without_data_leaves_a_report_with_samples
test_method_contract.py::test_a_single_task_can_be_learned[generative_replay]
test_method_contract.py::test_a_single_task_can_be_learned[hnet_replay]
test_method_contract.py::test_the_loss_falls_and_all_losses_are_logged[hnet_replay]
test_method_contract.py::test_one_compiled_step_serves_all_tasks[hnet_replay, online]
test_method_contract.py::test_the_loss_falls_and_all_losses_are_logged[hnet_replay, online]
test_method_contract.py::test_batches_may_be_smaller_than_the_number_of_old_tasks[generative_replay]
test_generative_replay.py::test_xla_and_plain_graph_agree
test_coresets.py::test_xla_and_plain_graph_agree
test_examples.py::test_training_with_progress_learns_and_exports
test_export_verify.py::test_every_harm_is_found_and_named
test_output_regularizer.py::test_a_network_is_no_distance_from_itself[True-False]
test_shared_table.py::test_a_strong_pull_holds_the_shared_table_and_none_lets_it_go[masking_si]
test_online_ewc.py::test_sampled_labels_and_truncation_change_the_measure_and_are_repeatable
test_resume.py::test_at_most_so_many_steps_are_done_twice
test_stream_contract.py::test_the_same_settings_give_the_same_data[copy, growing]
test_student_teacher.py::test_generative_replay_learns_teachers_one_after_another
""".splitlines()
"""Tests of what others hold in less time: runs of whole commands, XLA beside plain graphs, methods with two networks. A
name without brackets stands for all parameters."""
ONE_PROCESS = ("test_tag.py", "test_registry.py", "test_export_bundle.py")
"""Files whose tests share a run that takes long to make."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        name = f"{item.path.name}::{item.name}"
        if name in SLOW or name.partition("[")[0] in SLOW:
            item.add_marker(pytest.mark.slow)
        if item.path.name in ONE_PROCESS:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
