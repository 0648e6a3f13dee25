"""What may connect to what."""

import chart

DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
}
EDGE = {
    "to": [{"ipBlock": {"cidr": "198.41.192.0/19"}}, {"ipBlock": {"cidr": "2606:4700:a0::/44"}}],
    "ports": [{"port": 7844, "protocol": "TCP"}, {"port": 7844, "protocol": "UDP"}],
}
KUBERNETES_API = {
    "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}],
    "ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}],
}
CLAUDE_API = {
    "to": [{"ipBlock": {"cidr": "160.79.104.0/23"}}, {"ipBlock": {"cidr": "2607:6bc0::/48"}}],
    "ports": [{"port": 443, "protocol": "TCP"}],
}


def policies(objects):
    return {
        each["metadata"]["name"]: each["spec"]
        for each in objects
        if each["kind"] == "NetworkPolicy"
    }


def test_every_pod_but_that_of_the_test_is_under_a_policy_unless_ingress_is_open(objects, name):
    found = policies(objects)
    if name == "replicas":
        assert not found
        return
    for thing, labels, _ in chart.pods(objects):
        matching = [each for each in found.values() if each["podSelector"]["matchLabels"].items() <= labels.items()]
        assert len(matching) == (0 if thing["kind"] == "Pod" else 1)


def test_ingress_is_denied_by_default(renderings):
    for spec in policies(chart.load(renderings["managed"])).values():
        assert spec["policyTypes"] == ["Ingress"]
        assert not spec.get("ingress")
        assert "egress" not in spec


def test_prometheus_is_let_in_where_it_may_scrape(renderings):
    found = policies(chart.load(renderings["metrics"]))
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert found["mcp-tunnel"]["ingress"] == [{"from": [prometheus], "ports": [{"port": 8081, "protocol": "TCP"}]}]
    assert not [name for name, spec in found.items() if name != "mcp-tunnel" and spec.get("ingress")]


def test_egress_is_what_each_pod_needs(renderings):
    found = policies(chart.load(renderings["egress"]))
    assert all(spec["policyTypes"] == ["Ingress", "Egress"] and not spec.get("ingress") for spec in found.values())
    docs = {"to": [{"podSelector": {"matchLabels": {"app": "docs-mcp"}}}]}
    private = {"to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}]}
    assert found["mcp-tunnel"]["egress"] == [DNS, docs, private, EDGE]
    assert found["mcp-tunnel-setup"]["egress"] == [DNS, KUBERNETES_API, CLAUDE_API]
    assert found["mcp-tunnel-cert-renew"]["egress"] == [DNS, KUBERNETES_API]


def test_external_mode_has_no_way_to_any_api(renderings):
    found = policies(chart.load(renderings["external-egress"]))
    assert found.keys() == {"mcp-tunnel"}
    assert [rule for rule in found["mcp-tunnel"]["egress"] if rule in (KUBERNETES_API, CLAUDE_API)] == []


def test_the_other_names_mean_the_same(renderings):
    found = policies(chart.load(renderings["chart-2-names"]))
    by_label = {
        "to": [{"podSelector": {"matchLabels": {"app": "docs-mcp"}}}],
        "ports": [{"port": 9000, "protocol": "TCP"}, {"port": "mcp", "protocol": "TCP"}],
    }
    by_range = {"to": [{"ipBlock": {"cidr": "192.168.7.0/24"}}]}
    assert found["mcp-tunnel"]["egress"] == [DNS, by_label, by_range, EDGE]


def test_every_part_can_be_set(renderings):
    found = policies(chart.load(renderings["everything"]))
    dns = {
        "to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}],
        "ports": [{"port": port, "protocol": protocol} for port in (53, 5353) for protocol in ("UDP", "TCP")],
    }
    servers = [
        {
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tools"}},
                    "podSelector": {"matchLabels": {"app": "docs-mcp"}},
                }
            ],
            "ports": [{"port": 9000, "protocol": "TCP"}],
        },
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}}]},
        {"to": [{"ipBlock": {"cidr": "fd00::/8"}}]},
    ]
    edge = {**EDGE, "to": [{"ipBlock": {"cidr": "198.41.192.0/20"}}]}
    kubernetes = {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"port": 6443, "protocol": "TCP"}]}
    claude = {**CLAUDE_API, "to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}
    forward = {"to": [{"ipBlock": {"cidr": "203.0.113.0/28"}}], "ports": [{"port": 3128, "protocol": "TCP"}]}
    assert found["acme-mcp-tunnel"]["egress"] == [dns, *servers, edge]
    scrapes = {"from": [{"ipBlock": {"cidr": "10.4.0.0/16"}}], "ports": [{"port": 9090, "protocol": "TCP"}]}
    assert found["acme-mcp-tunnel"]["ingress"] == [scrapes]
    assert found["acme-setup"]["egress"] == [dns, kubernetes, claude, forward]
    assert found["acme-cert-renew"]["egress"] == [dns, kubernetes]
