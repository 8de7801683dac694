"""The guards of the command."""

from tests.guards import Guard

GUARD, TERMINAL, EXITS, RUN, INPUTS = "cli/guard.py", "cli/terminal.py", "cli/exits.py", "cli/run.py", "cli/inputs.py"
CONFIG, OPENING = "cli/commands/config.py", "cli/opening.py"

GUARDS = [
    Guard("CL-04", "cli/test_main.py::test_a_closed_pipe_ends_it_quietly", GUARD,
          "except BrokenPipeError:", "except ZeroDivisionError:", case="formats"),
    Guard("CL-04", "cli/test_main.py::test_a_closed_pipe_ends_it_quietly", TERMINAL,
          "            os.dup2(nowhere, descriptor)", "            pass", case="help"),
    Guard("CL-04", "cli/test_main.py::test_a_closed_pipe_ends_a_run_after_the_document_in_work", RUN,
          "if not terminal.is_terminal(sys.stdout):  # a reader of the pipe need not wait for the last document",
          "if False:"),
    Guard("CL-05", "cli/test_exits.py::test_of_many_a_stop_wins_then_the_unknown_then_the_failed", EXITS,
          "    if UNKNOWN in each:\n        return UNKNOWN\n", ""),
    Guard("CL-05", "cli/test_exits.py::test_of_many_a_stop_wins_then_the_unknown_then_the_failed", EXITS,
          "stop = next((code for code in each if code in STOPS), None)", "stop = None"),
    Guard("CL-05", "cli/test_convert.py::test_a_stop_leaves_the_rest_undone", RUN,
          "next((row.exit for row in self.rows if row.exit in STOPS), 0)", "0"),
    Guard("CL-05", "cli/test_convert.py::test_one_document_ends_with_its_own_reason", EXITS,
          "    errors.QuotaExceeded: 4,\n", "", case="quota"),
    Guard("CL-05", "cli/test_convert.py::test_an_outcome_that_nobody_knows_is_9", EXITS,
          "    errors.OutcomeUnknown: UNKNOWN,\n", ""),
    Guard("CL-06", "cli/test_convert.py::test_inputs_that_are_none_are_5_without_a_request", INPUTS,
          "        if not matches:\n", "        if False:\n", case="pattern"),
    Guard("CL-06", "cli/test_convert.py::test_without_key_and_engine_the_ways_out_are_named", OPENING,
          "    if extra.missing_packages():", "    if False:", case="no-key"),
    Guard("CL-06", "cli/test_status.py::test_without_a_key_it_is_2_without_a_request", OPENING,
          "    if config.load().key is None:", "    if False:", case="status"),
    Guard("CL-08", "cli/test_main.py::test_an_odd_word_in_an_error_is_escaped", GUARD,
          "told = terminal.printable(error.format_message())", "told = error.format_message()", case="command"),
    Guard("CL-08", "cli/test_main.py::test_an_odd_name_is_converted_and_shown_escaped", TERMINAL,
          'reconfigure(errors="backslashreplace")', 'reconfigure(errors="strict")', case="ascii"),
    Guard("SE-03", "cli/test_config.py::test_a_key_as_an_argument_is_refused_and_not_repeated", CONFIG,
          '"ignore_unknown_options": True, "allow_extra_args": True', '"ignore_unknown_options": False', case="word"),
    Guard("SE-03", "cli/test_config.py::test_on_a_terminal_the_key_is_asked_for_and_not_shown", CONFIG,
          'return getpass("Key (not shown): ").strip()',
          'print("Key (not shown): ", end="", file=sys.stderr, flush=True)\n'
          "            return sys.stdin.readline().strip()"),
]
