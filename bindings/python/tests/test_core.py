"""Contexts, options, errors and callbacks, against the library itself."""
import os
import unittest

from tools.build import junit

import coaming
from coaming import _core, errors


class CoreTest(unittest.TestCase):
    def test_version_and_features(self):
        self.assertTrue(coaming.library_version().startswith("coaming 1."))
        self.assertIn("core.jobs", list(coaming.features()))
        self.assertIn("limits_layers", list(coaming.option_names("context")))

    def test_error_carries_code_reason_hint(self):
        with self.assertRaises(errors.NotFoundError) as caught:
            _core.Options("no.such", {})
        self.assertEqual(caught.exception.reason, "core.not_found")
        self.assertEqual(caught.exception.code, "NOT_FOUND")
        self.assertIsInstance(caught.exception, LookupError)
        self.assertIn("no.such", str(caught.exception))

    def test_limits_are_checked(self):
        with coaming.Context(limits={"layers": 3}):
            pass
        with self.assertRaises(errors.InvalidArgumentError) as caught:
            coaming.Context(limits={"layers": "many"})
        self.assertIsInstance(caught.exception, ValueError)
        with self.assertRaises(errors.NotFoundError):
            coaming.Context(limits={"no_such": 1})

    def test_cancel(self):
        cancel = coaming.Cancel()
        self.assertFalse(cancel.fired)
        cancel.fire()
        self.assertTrue(cancel.fired)
        self.assertGreater(cancel.fileno(), 2)

    def test_every_reason_has_a_class(self):
        self.assertTrue(issubclass(errors.DigestMismatchError, errors.DataError))
        self.assertTrue(issubclass(errors.PermissionDeniedError, PermissionError))
        for kind in errors._BY_REASON.values():
            self.assertTrue(issubclass(kind, errors.CoamingError))

    def test_fork_is_refused_in_the_child(self):
        context = coaming.Context()
        child = os.fork()
        if child == 0:
            try:
                coaming.Cancel()
                os._exit(1)
            except errors.CoamingError as error:
                os._exit(0 if error.reason == "core.forked" else 2)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        context.close()


if __name__ == "__main__":
    junit.main()
