"""Manifests: several documents and lists in one text; what is no NetworkPolicy is an error."""

from __future__ import annotations

import pytest

from pyctl.policy.document.field_checks import ErrorCollector
from pyctl.policy.kubernetes.manifests import objects

HEAD = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"


def test_documents_and_lists_are_gone_through_with_their_paths():
    text = f"""
{HEAD}metadata: {{name: a}}
---
# nothing
---
apiVersion: v1
kind: List
items:
  - {{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: b}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicyList
items: [{{metadata: {{name: c}}}}]
"""
    notes = ErrorCollector()
    found = [
        (path, body["metadata"]["name"]) for path, body in objects(notes, "f", text)
    ]
    assert found == [("f[0]", "a"), ("f[2].items[0]", "b"), ("f[3].items[0]", "c")]
    assert not notes.errors


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[]", "f[0]: must be an object"),
        (
            "kind: Pod",
            "f[0].kind: must be NetworkPolicy, Namespace, Service or a list, not 'Pod'",
        ),
        (
            "kind: []",
            "f[0].kind: must be NetworkPolicy, Namespace, Service or a list, not []",
        ),
        (
            "{kind: NetworkPolicy, apiVersion: extensions/v1beta1}",
            "f[0].apiVersion: must be networking.k8s.io/v1, not 'extensions/v1beta1'",
        ),
        ("{kind: List, apiVersion: v1}", "f[0].items: must be a list, not None"),
        (
            "{kind: List, apiVersion: v1, items: [{kind: Pod}]}",
            "f[0].items[0].kind: must be NetworkPolicy, Namespace, Service or a list, not 'Pod'",
        ),
    ],
)
def test_nothing_is_left_out_in_silence(text, error):
    notes = ErrorCollector()
    assert objects(notes, "f", text) == []
    assert notes.errors == [error] or notes.errors[0].startswith(error)
