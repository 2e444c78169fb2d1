using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Routing;

namespace SnapshotFlow.Tests.Api;

/// <summary>The OpenAPI description, its copy in the repository, and the page that uses it.</summary>
public sealed class DescribingItself(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private const string Regenerate = "SNAPSHOTFLOW_WRITE_OPENAPI";

    private readonly ApiUnderTest api = alone.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_copy_in_the_repository_is_what_is_served()
    {
        var served = Pretty((await api.GetAsync("/openapi/v1.json", null)).Text);
        var path = Path.Combine(Root(), "docs", "openapi.json");
        if (Environment.GetEnvironmentVariable(Regenerate) is { Length: > 0 })
        {
            await File.WriteAllTextAsync(path, served, Ct);
        }

        Assert.True(
            File.Exists(path) && await File.ReadAllTextAsync(path, Ct) == served,
            $"docs/openapi.json is not what /openapi/v1.json serves. When the change is meant, write it anew: {Regenerate}=1 ./snapshotflow test Api");
    }

    [Fact]
    public async Task Every_route_is_described_and_nothing_else()
    {
        var described = (await api.GetAsync("/openapi/v1.json", null)).Json.GetProperty("paths").EnumerateObject()
            .SelectMany(p => p.Value.EnumerateObject().Where(o => o.Value.ValueKind is JsonValueKind.Object && o.Name != "parameters").Select(o => $"{o.Name.ToUpperInvariant()} {p.Name}")).Order(StringComparer.Ordinal);
        var routes = api.Service<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<IExcludeFromDescriptionMetadata>() is not { ExcludeFromDescription: true })
            .SelectMany(e => (e.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []).Select(m => $"{m} /{e.RoutePattern.RawText!.Trim('/')}"))
            .Where(r => !r.Contains("/compute/v2.1/{project_id}", StringComparison.Ordinal)).Order(StringComparer.Ordinal);
        Assert.Equal(routes, described);
    }

    [Fact]
    public async Task Every_endpoint_that_reads_a_body_says_which()
    {
        string[] bodiless = ["/cancel", "/actions/deactivate", "/actions/reactivate", "/tags/{tag}"];
        var paths = (await api.GetAsync("/openapi/v1.json", null)).Json.GetProperty("paths");
        var silent = paths.EnumerateObject()
            .SelectMany(p => p.Value.EnumerateObject().Where(o => o.Name is "post" or "put" or "patch" && !o.Value.TryGetProperty("requestBody", out _)).Select(o => $"{o.Name} {p.Name}"))
            .Where(o => !bodiless.Any(b => o.EndsWith(b, StringComparison.Ordinal)));
        Assert.Empty(silent);
    }

    [Fact]
    public async Task Endpoints_that_want_a_token_say_so()
    {
        var paths = (await api.GetAsync("/openapi/v1.json", null)).Json.GetProperty("paths");
        Assert.True(paths.GetProperty("/runs").GetProperty("get").TryGetProperty("security", out _));
        Assert.False(paths.GetProperty("/compute").GetProperty("get").TryGetProperty("security", out _));
        Assert.False(paths.GetProperty("/identity/v3/auth/tokens").GetProperty("post").TryGetProperty("security", out _));
    }

    [Fact]
    public async Task The_page_to_try_it_needs_nothing_from_elsewhere()
    {
        var page = await api.GetAsync("/openapi", null);
        Assert.Equal(HttpStatusCode.OK, page.Status);
        Assert.Equal("text/html", page.Response.Content.Headers.ContentType?.MediaType);
        Assert.DoesNotContain("http://", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("https://", page.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("innerHTML", page.Text, StringComparison.Ordinal);
        Assert.Contains("connect-src 'self'", page.Header("Content-Security-Policy"), StringComparison.Ordinal);
    }

    private static string Pretty(string json) => JsonSerializer.Serialize(JsonDocument.Parse(json).RootElement, Indented) + "\n";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static string Root()
    {
        var directory = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(directory, "SnapshotFlow.sln")))
        {
            directory = Path.GetDirectoryName(directory) ?? throw new InvalidOperationException("the repository is not above the test program");
        }

        return directory;
    }
}
