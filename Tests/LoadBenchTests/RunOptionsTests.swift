import Testing

@testable import tunnel_bench

struct RunOptionsTests {
    @Test func othersAreNamedOneByOne() throws {
        #expect(try RunOptions([]).compared.isEmpty)
        #expect(try RunOptions(["--compare", "nginx"]).compared == [.nginx, .plainNginx])
        let both = try RunOptions(["--compare", "haproxy", "--compare", "reference", "--reference", "/r"])
        #expect(both.compared == [.haproxy, .reference])
        #expect(both.referencePath == "/r")
    }

    @Test func anUnknownOneIsRefusedWithTheNamesThatAreKnown() {
        let error = #expect(throws: BenchError.self) { try RunOptions(["--compare", "apache"]) }
        #expect(error?.description == "--compare knows haproxy, nginx, reference, not apache")
    }
}
