/// The command line of `tunnel-bench run`.
struct RunOptions {
    var isQuick = false
    /// Whom the proxy is measured beside.
    var compared: Set<Scenario.Side.Server> = []
    /// Beginnings of scenario names; empty for all.
    var scenarios: [String] = []
    /// Beginnings of the names of sides; empty for all, whose comparison needs all.
    var sides: [String] = []
    /// Runs of each side of a scenario; the medians count.
    var pairs: Int?
    var jsonFile: String?
    /// A page whose table is replaced, or a new file.
    var markdownFile: String?
    /// What the page says that was measured.
    var commit = "unknown"
    /// `nil`: the one beside this program.
    var proxyPath: String?
    /// Where `Benchmarks/Reference/build` leaves it.
    var referencePath = "out/tunnel-reference"

    /// By the name that `--compare` takes.
    private static let others: [String: Set<Scenario.Side.Server>] = [
        "nginx": [.nginx, .plainNginx], "haproxy": [.haproxy], "reference": [.reference],
    ]

    init(_ arguments: [String]) throws(BenchError) {
        var rest = arguments[...]
        func value(_ name: String) throws(BenchError) -> String {
            if let value = rest.popFirst() { return value }
            throw BenchError("\(name) needs a value\n\n\(BenchCommand.usage)")
        }
        while let name = rest.popFirst() {
            switch name {
            case "--quick": isQuick = true
            case "--compare":
                let other = try value(name)
                guard let servers = RunOptions.others[other] else {
                    throw BenchError(
                        "--compare knows \(RunOptions.others.keys.sorted().joined(separator: ", ")), not \(other)")
                }
                compared.formUnion(servers)
            case "--scenario": scenarios.append(try value(name))
            case "--side": sides.append(try value(name))
            case "--pairs":
                guard let number = Int(try value(name)), (1...100).contains(number) else {
                    throw BenchError("--pairs takes a number from 1 to 100")
                }
                pairs = number
            case "--json": jsonFile = try value(name)
            case "--markdown": markdownFile = try value(name)
            case "--commit": commit = try value(name)
            case "--proxy": proxyPath = try value(name)
            case "--reference": referencePath = try value(name)
            default: throw BenchError("unknown option \(name)\n\n\(BenchCommand.usage)")
            }
        }
    }
}
