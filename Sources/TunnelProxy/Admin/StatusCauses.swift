/// The words for what requests failed of.
extension FailureCause {
    struct Words {
        let title: String
        let remedy: String
    }

    /// Those of the table of faults, and for what is no fault of a tunnel its own.
    var words: Words {
        if let fault = Fault.named(id) { return Words(title: fault.title, remedy: fault.remedy) }
        return switch self {
        case .limit:
            Words(
                title: "more requests than limits or route_options let in",
                remedy:
                    "mcp_tunnel_limit_hits_total says which: raise max_requests or rate, or find out why there are so many"
            )
        case .methodRefused:
            Words(
                title: "the method is not in the route's list",
                remedy: "add it to methods in route_options if clients of yours use it")
        case .pathRefused:
            Words(
                title: "the path is not in the route's list",
                remedy: "add it to paths in route_options if clients of yours ask for it")
        case .misdirected:
            Words(
                title: "the host is another tunnel's than the connection's",
                remedy: "nothing: a client that has one connection for both opens another one")
        case .shutdown:
            Words(
                title: "the proxy ended before the response did",
                remedy: "raise shutdown_timeout above the longest response, or move streams before a restart")
        case .requestMalformed:
            Words(
                title: "the request broke the rules of HTTP",
                remedy: "see the log's line of that request; what sent it is no MCP client of Anthropic's")
        case .requestStalled:
            Words(
                title: "the request's body stopped coming",
                remedy: "raise limits.body_timeout if uploads of yours pause for longer; else look at the network")
        case .clientStalled:
            Words(
                title: "the client took nothing of the response any more",
                remedy: "raise limits.send_timeout if clients of yours pause for longer; else look at the network")
        default: Words(title: id, remedy: "see the log's lines of these requests")
        }
    }
}
