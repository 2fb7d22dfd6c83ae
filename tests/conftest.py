"""Which tests are left to `make test-slow`, beside those that say so themselves, and which share a process."""

import pytest

SLOW = {
    *"""
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
test_output_regularizer.py::test_compiled_by_xla_nothing_changes
test_training.py::test_xla_and_plain_graph_agree
test_docs.py::test_the_output_kind_of_the_page_learns
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[hnet-1]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[hnet-2]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[hnet-3]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[hnet-4]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[letters-1]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[letters-2]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[letters-3]
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[letters-4]
test_resume.py::test_a_signal_leaves_a_checkpoint_of_the_last_step
test_method_contract.py::test_a_run_continued_inside_a_task_goes_on_like_one_that_went_through[generative_replay]
test_method_contract.py::test_one_compiled_step_serves_all_tasks[generative_replay]
test_method_contract.py::test_one_compiled_step_serves_all_tasks[hnet_replay]
test_method_contract.py::test_the_loss_falls_and_all_losses_are_logged[generative_replay]
test_method_contract.py::test_the_model_of_all_tasks_equals_its_source[hnet_replay]
test_search.py::test_hyperband_trains_on_few_steps_first_and_takes_the_best_of_those_on_all
test_search.py::test_a_killed_search_goes_on_with_the_same_trials[bayesian]
test_search.py::test_a_killed_search_goes_on_with_the_same_trials[grid]
test_search.py::test_a_killed_search_goes_on_with_the_same_trials[hyperband]
test_search_machines.py::test_chief_and_two_workers_run_the_trials_of_one_process[both live]
test_stream_contract.py::test_a_run_can_be_continued_at_every_step[copy, growing]
test_stream_contract.py::test_a_run_can_be_continued_at_every_step[cognitive]
test_stream_contract.py::test_a_run_can_be_continued_at_every_step[tagging, letters]
test_stream_contract.py::test_a_run_can_be_continued_at_every_step[tagging, starter treebank]
test_padding.py::test_learning_and_testing[online_ewc-options1-softmax-True]
test_padding.py::test_learning_and_testing[online_ewc-options0-softmax-False]
test_padding.py::test_learning_and_testing[coresets-options5-softmax-True]
test_every_benchmark.py::test_methods_run_on_benchmarks[cognitive-coresets]
test_every_benchmark.py::test_methods_run_on_benchmarks[cognitive-online_ewc]
test_traces.py::test_a_method_takes_the_stored_steps[si, total loss]
test_traces.py::test_a_method_takes_the_stored_steps[online_ewc, lstm]
test_run_directory.py::test_overwrite_keeps_what_no_run_wrote_and_says_so
test_run_directory.py::test_resume_makes_what_is_missing_of_a_finished_run[cut_export]
test_examples.py::test_the_keras_model_keeps_its_first_task_under_the_regulariser
test_learning.py::test_a_run_continued_after_a_task_ends_like_one_that_went_through
test_extend_command.py::test_the_model_of_all_tasks_is_published_with_its_certificate
test_shared_table.py::test_a_strong_pull_holds_the_shared_table_and_none_lets_it_go
test_export_verify.py::test_models_as_they_were_written_are_well
test_benchmarks.py::test_our_contestants_run
test_method_contract.py::*[hnet_replay, online]
test_method_contract.py::test_a_run_continued_inside_a_task_goes_on_like_one_that_went_through[hnet_replay]
test_method_contract.py::test_a_run_continued_inside_a_task_goes_on_like_one_that_went_through[context_mod]
test_method_contract.py::test_batches_may_be_smaller_than_the_number_of_old_tasks[hnet_replay]
test_padding.py::test_learning_and_testing[multitask-options7-softmax-True]
test_export_parts.py::test_a_served_network_gives_the_numbers_of_the_trained_one[elman-hnet]
test_export_parts.py::test_a_served_network_gives_the_numbers_of_the_trained_one[lstm, both directions-context_mod]
test_docs.py::test_the_python_of_a_page_runs[docs/extending.md]
test_run_directory.py::test_resume_makes_what_is_missing_of_a_finished_run[remove_export]
test_run_directory.py::test_the_checkpoint_before_a_damaged_one_is_taken
test_run_directory.py::test_an_export_that_fails_leaves_the_one_before
test_online_ewc.py::test_gamma_fades_earlier_tasks_once_per_task
test_generative_replay.py::test_the_teacher_stays_what_it_was_before_the_task
test_output_regularizer.py::test_a_large_hypernetwork_is_regularised_in_a_loop_of_steps_without_xla
test_shared_table.py::test_fisher_information_of_the_table_equals_a_loop_over_sequences
test_extend_command.py::test_nothing_is_exported_past_the_threshold
test_tag.py::test_the_reader_may_stop_before_the_end
test_stream_contract.py::test_a_run_can_be_continued_at_every_step[strokes, pairs of digits]
test_examples.py::test_the_method_of_the_example_forgets_less_and_learns_less_the_stronger_it_is
test_training.py::test_keep_best_ends_with_the_weights_of_the_best_validation
test_context_mod.py::test_a_strong_regularizer_keeps_generated_gains
test_main_network_dropout.py::test_a_run_with_dropout_is_a_function_of_its_seed
test_resume.py::test_a_run_that_is_killed_again_and_again_leaves_what_an_uninterrupted_one_does[letters-0]
""".splitlines()
}
"""Tests of what others hold in less time: runs of whole commands, XLA beside plain graphs, methods with two networks. A
name without brackets stands for all parameters, and `*` for all tests of a file with these parameters."""
ONE_PROCESS = (
    "test_export_bundle.py",
    "test_export_client.py",
    "test_extend_command.py",
    "test_inference.py",
    "test_registry.py",
    "test_tag.py",
)
"""Files whose tests share a run that takes long to make."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        name = f"{item.path.name}::{item.name}"
        test, bracket, parameters = name.partition("[")
        if {name, test, f"{item.path.name}::*{bracket}{parameters}"} & SLOW:
            item.add_marker(pytest.mark.slow)
        if item.path.name in ONE_PROCESS:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
