import Glibc

/// `tunnel-bench`: the benchmark and the two programs it starts.
enum BenchCommand {
    static let usage = """
        Usage: tunnel-bench run [--quick] [--compare SERVER] [--scenario NAME] [--side NAME] [--pairs N]
                                [--json FILE] [--markdown FILE] [--commit NAME] [--proxy PATH] [--reference PATH]
               tunnel-bench upstream
               tunnel-bench load --kind KIND --mode tunnel|direct --port PORT --ca FILE ...

          --quick           every scenario in small, within two minutes
          --compare SERVER  measure nginx, haproxy or reference in turn with the proxy; may be given again
          --scenario NAME   only scenarios whose name begins with NAME; may be given again
          --side NAME       only sides whose name begins with NAME, without ratios; may be given again
          --pairs N         runs of each side (default 3 with --compare, else 1)
          --json FILE       write the results there too
          --markdown FILE   write the table there, into a page between its two marks or as a new file
          --commit NAME     the commit that the page says was measured
          --proxy PATH      the proxy's binary (default: beside this one)
          --reference PATH  that of Benchmarks/Reference (default: out/tunnel-reference); without it, it is left out
        """

    static func run(_ arguments: [String]) -> CInt {
        // A child that has gone is an error of write(2).
        signal(SIGPIPE, SIG_IGN)
        let rest = Array(arguments.dropFirst())
        do {
            switch arguments.first {
            case "run": return try BenchRun(RunOptions(rest)).run() ? 0 : 1
            case "upstream": try UpstreamServer.run()
            case "load": try LoadCommand.run(rest)
            default:
                Output.complain(usage)
                return 2
            }
        } catch {
            Output.complain("tunnel-bench: \(error)")
            return 1
        }
    }
}
