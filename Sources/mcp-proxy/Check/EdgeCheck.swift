import TunnelCore
import TunnelIO
import TunnelProxy

/// The way outwards, which is cloudflared's: DNS of the edge, its port, Cloudflare's API, and what cloudflared says itself.
enum EdgeCheck {
    /// As cloudflared knows them.
    static let regions = ["region1.v2.argotunnel.com", "region2.v2.argotunnel.com"]
    static let api = "api.cloudflare.com"
    private static let edgePort: UInt16 = 7844
    private static let apiPort: UInt16 = 443

    static func run(_ options: CheckOptions, on reactor: Reactor) async -> [CheckResult] {
        let times = StepTimes(step: options.timeout, on: reactor)
        var (names, connections): ([(String, [IPAddress])], [Result<String, UpstreamFailure>]) = ([], [])
        var failure: UpstreamFailure?
        let start = Reactor.clock()
        for region in regions {
            do { names.append((region, try await lookUp(region, times, reactor))) } catch { failure = failure ?? error }
        }
        let shown = names.map { "\($0) is \($1.prefix(3).map { "\($0)" }.joined(separator: ", "))" }
        if names.isEmpty {
            return [
                .found(.edgeName, in: "edge.dns", evidence: failure?.evidence ?? [], ms: milliseconds(since: start)),
                .skip("edge.tcp"), .skip("edge.api"),
            ]
        }
        var results = [
            CheckResult.pass("edge.dns", "the edge has addresses", evidence: shown, ms: milliseconds(since: start))
        ]
        let dialled = Reactor.clock()
        for (region, addresses) in names {
            connections.append(await dial(region, addresses, edgePort, times, reactor))
        }
        results.append(tcp(connections, ms: milliseconds(since: dialled)))
        results.append(await checkAPI(times, reactor))
        return results
    }

    private static func tcp(_ connections: [Result<String, UpstreamFailure>], ms: Int) -> CheckResult {
        let good = connections.compactMap { try? $0.get() }
        let bad = connections.flatMap { connection -> [String] in
            if case .failure(let failure) = connection { failure.evidence } else { [] }
        }
        if good.isEmpty { return .found(.edgeBlocked, in: "edge.tcp", evidence: bad, ms: ms) }
        if good.count < regions.count { return .found(.edgePartly, in: "edge.tcp", evidence: good + bad, ms: ms) }
        return .pass("edge.tcp", "the edge takes connections on port \(edgePort)", evidence: good, ms: ms)
    }

    private static func checkAPI(_ times: StepTimes, _ reactor: Reactor) async -> CheckResult {
        let start = Reactor.clock()
        let outcome: Result<String, UpstreamFailure>
        do { outcome = await dial(api, try await lookUp(api, times, reactor), apiPort, times, reactor) } catch {
            outcome = .failure(error)
        }
        let ms = milliseconds(since: start)
        switch outcome {
        case .success(let text): return .pass("edge.api", "\(api) takes connections", evidence: [text], ms: ms)
        case .failure(let failure): return .found(.edgeAPI, in: "edge.api", evidence: failure.evidence, ms: ms)
        }
    }

    private static func lookUp(
        _ name: String, _ times: StepTimes, _ reactor: Reactor
    ) async throws(UpstreamFailure) -> [IPAddress] {
        do throws(IOError) { return try await reactor.resolver.resolve(name, timeout: times.next, ttl: 0) } catch {
            throw UpstreamFailure(lookup: name, error)
        }
    }

    private static func dial(
        _ name: String, _ addresses: [IPAddress], _ port: UInt16, _ times: StepTimes, _ reactor: Reactor
    ) async -> Result<String, UpstreamFailure> {
        let targets = Connector.alternating(addresses).map { SocketAddress.ip($0, port: port) }
        do throws(DialError) {
            let (socket, address) = try await Connector.connect(to: targets, timeout: times.next, on: reactor)
            socket.close()
            return .success("\(name): connected to \(address)")
        } catch { return .failure(UpstreamFailure(dial: error)) }
    }

    private static func milliseconds(since start: UInt64) -> Int {
        Int(clamping: (Reactor.clock() &- start) / 1_000_000)
    }

    // MARK: cloudflared

    static func cloudflared(_ address: UpstreamAddress, _ options: CheckOptions, on reactor: Reactor) async
        -> CheckResult
    {
        let (id, start) = ("cloudflared", Reactor.clock())
        let timeout = StepTimes.nanoseconds(options.timeout)
        do throws(CloudflaredStatus.Failure) {
            let status = try await CloudflaredStatus.read(from: address, timeout: timeout, on: reactor)
            let ms = milliseconds(since: start)
            let connector = status.connectorID.map { ["connector \($0)"] } ?? []
            let count = "\(status.readyConnections) connections to the edge"
            return status.isReady
                ? .pass(id, count, evidence: connector, ms: ms)
                : .found(.cloudflaredNotReady, in: id, evidence: ["\(address)/ready: \(count)"] + connector, ms: ms)
        } catch {
            let fault: Fault = if case .unreachable = error { .cloudflaredUnreachable } else { .cloudflaredUnknown }
            return .found(fault, in: id, evidence: ["\(error)"], ms: milliseconds(since: start))
        }
    }
}
