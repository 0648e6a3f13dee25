import Glibc
import TunnelIO

/// `tunnel-bench load`: one kind of load on one target, on one thread.
enum LoadCommand {
    static func run(_ arguments: [String]) throws -> Never {
        let options = try LoadOptions(arguments)
        usleep(UInt32(options.delay * 1e6))
        let loop = try Loop()
        loop.spawn { loop in
            let window = MeasuredWindow(loop.reactor, options)
            do {
                let shared = try ClientShared(loop.reactor, options.target, isHTTP2: options.streams > 0)
                let load = try makeLoad(shared, window, options)
                loop.reactor.context = load
                try load.begin()
            } catch {
                window.fail("\(error)")
            }
        }
        loop.run()
        exit(1)
    }

    private static func makeLoad(
        _ shared: ClientShared, _ window: MeasuredWindow, _ options: LoadOptions
    ) throws(BenchError) -> any Load {
        if options.streams > 0 {
            switch options.kind {
            case .requests: return StreamRequestLoad(shared, window, options)
            case .download: return StreamDownloadLoad(shared, window, options)
            case .events, .idle: return StreamEventLoad(shared, window, options)
            default: throw BenchError("\(options.kind.rawValue) is for HTTP/1.1 only")
            }
        }
        return switch options.kind {
        case .requests: RequestLoad(shared, window, options)
        case .connections, .resume: ConnectionLoad(shared, window, options)
        case .download: DownloadLoad(shared, window, options)
        case .upload: UploadLoad(shared, window, options)
        case .events, .idle: EventLoad(shared, window, options)
        case .floodRefused, .floodPing: FloodLoad(shared, window, options)
        }
    }
}

/// A kind of load.
protocol Load: AnyObject {
    /// Opens the connections and starts; the window ends the process.
    func begin() throws
}
