using System.Net;
using System.Text;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>What holds for every answer, whatever was asked.</summary>
public sealed class AnsweringEveryRequest(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private readonly ApiUnderTest api = alone.Api;

    [Theory]
    [InlineData("/")]
    [InlineData("/health/live")]
    [InlineData("/nowhere")]
    [InlineData("/compute/v2.1/servers")]
    public async Task Every_answer_says_its_request_id(string path)
    {
        var answer = await api.GetAsync(path, null, ("X-OpenStack-Request-ID", $"req-{Guid.NewGuid()}"));
        Assert.Matches("^req-[0-9a-f-]{36}$", answer.Header("x-openstack-request-id"));
        Assert.Equal(answer.Header("x-openstack-request-id"), answer.Header("x-compute-request-id"));
    }

    [Fact]
    public async Task An_unknown_path_is_404_and_a_wrong_method_is_405_both_as_json()
    {
        (await api.GetAsync("/nowhere", null)).IsFault(404, "itemNotFound", "The resource could not be found.");
        (await api.GetAsync("/image/v2/nowhere", null)).IsImageFault(404, "Not Found", "The resource could not be found.");
        var wrong = await api.SendAsync(HttpMethod.Delete, "/runs", api.Tokens.Member, null);
        wrong.IsFault(405, "badMethod", "The method DELETE is not allowed for this resource.");
        var upload = await api.PostAsync("/image/v2/images", api.Tokens.Member, new { name = "mine" });
        upload.IsImageFault(
            405, "Method Not Allowed",
            "The method POST is not allowed for this resource: images are not uploaded here but made of servers, by their action createImage or by POST /runs.");
        Assert.Equal("GET", upload.Header("Allow"));
        Assert.Equal("GET, POST", wrong.Header("Allow"));
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/xml")]
    public async Task A_body_that_is_not_said_to_be_json_is_415(string type) =>
        (await api.PostTextAsync("/runs", api.Tokens.Member, "{}", type)).IsFault(415, "badMediaType", "Unsupported Content-Type");

    [Fact]
    public async Task A_body_of_more_than_64_KiB_is_413()
    {
        (await api.PostTextAsync("/runs", api.Tokens.Member, new string(' ', 64 * 1024 + 1), "application/json")).IsFault(413, "overLimit", "Request is too large.");
        (await api.PostTextAsync("/runs", api.Tokens.Member, new string(' ', 64 * 1024), "application/json")).IsFault(400, "badRequest", "Malformed request body");
    }

    [Fact]
    public async Task A_body_sent_in_chunks_is_measured_too()
    {
        using var endless = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(new string(' ', 200_000)))) { Headers = { { "Content-Type", "application/json" } } };
        endless.Headers.ContentLength = null;
        (await api.SendAsync(HttpMethod.Post, "/runs", api.Tokens.Member, endless, ("Transfer-Encoding", "chunked"))).IsFault(413, "overLimit");
    }

    [Fact]
    public async Task Json_that_is_nested_deeper_than_32_is_malformed() =>
        (await api.PostTextAsync("/runs", api.Tokens.Member, string.Concat(Enumerable.Repeat("[", 33)) + string.Concat(Enumerable.Repeat("]", 33)), "application/json"))
            .IsFault(400, "badRequest", "Malformed request body");

    [Fact]
    public async Task Text_that_no_database_can_store_is_refused_where_it_is_searched_for()
    {
        (await api.GetAsync("/image/v2/images?name=%00", api.Tokens.Member)).IsImageFault(
            400, "Bad Request", "Query parameters must not hold the character U+0000");
        Assert.Equal(HttpStatusCode.BadRequest, (await api.GetAsync("/image/v2/images?a%00b=c", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await api.GetAsync("/image/v2/images?name=a&name=b", api.Tokens.Member)).Status);
    }

    [Fact]
    public async Task The_database_away_is_503_and_says_so_and_so_does_readiness()
    {
        await using var own = await ApiUnderTest.StartAsync("Host=127.0.0.1;Port=1;Username=nobody;Database=none;Timeout=2", settings: "--Logging:LogLevel:Default=None");
        (await own.GetAsync("/compute/v2.1/servers", own.Tokens.Member)).IsFault(503, "serviceUnavailable", "The database is not available. Try again in a few seconds.");
        (await own.GetAsync("/image/v2/images", own.Tokens.Member)).IsImageFault(503, "Service Unavailable", "The database is not available. Try again in a few seconds.");

        var live = await own.GetAsync("/health/live", null);
        Assert.Equal(HttpStatusCode.OK, live.Status);
        var ready = await own.GetAsync("/health/ready", null);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.Status);
        Assert.Equal("does not answer", ready.Json.GetProperty("checks").GetProperty("database").GetString());
        Assert.Equal("does not answer", ready.Json.GetProperty("checks").GetProperty("temporal").GetString());
    }

    [Fact]
    public async Task A_database_without_tables_is_a_500_that_tells_nothing_but_the_request_id()
    {
        await using var own = await ApiUnderTest.StartAsync(await Postgres.CreateDatabaseAsync(migrated: false), settings: "--Logging:LogLevel:Default=None");
        var answer = await own.GetAsync("/compute/v2.1/servers", own.Tokens.Member);
        answer.IsFault(500, "computeFault", $"Unexpected API error. Report it with the request id {answer.Header("x-openstack-request-id")}.");
    }

    private PrivatePostgres Postgres => alone.Postgres;
}
