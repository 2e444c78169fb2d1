using System.Net;

namespace SnapshotFlow.Tests.Api;

/// <summary>Microversions, and the documents by which clients find them.</summary>
public sealed class NegotiatingVersions(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private const string Standard = "OpenStack-API-Version";
    private const string Legacy = "X-OpenStack-Nova-API-Version";

    private readonly ApiUnderTest api = alone.Api;

    [Theory]
    [InlineData(null, null, "2.1")]
    [InlineData("compute 2.45", null, "2.45")]
    [InlineData("volume 3.50, compute 2.88", null, "2.88")]
    [InlineData("volume 3.50", null, "2.1")]
    [InlineData("compute latest", null, "2.104")]
    [InlineData(null, "2.39", "2.39")]
    [InlineData(null, "latest", "2.104")]
    [InlineData("compute 2.45", "2.39", "2.45")]
    public async Task The_answer_says_which_version_was_agreed_on(string? standard, string? legacy, string agreed)
    {
        var answer = await api.GetAsync("/compute/v2.1/servers", api.Tokens.Member, Headers(standard, legacy));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal($"compute {agreed}", answer.Header(Standard));
        Assert.Equal(agreed, answer.Header(Legacy));
        Assert.Equal($"{Standard}, {Legacy}", answer.Header("Vary"));
    }

    [Fact]
    public async Task A_fault_says_the_version_too()
    {
        var answer = await api.GetAsync("/compute/v2.1/servers/none", api.Tokens.Member, (Standard, "compute 2.50"));
        answer.IsFault(404, "itemNotFound", "Instance none could not be found.");
        Assert.Equal("compute 2.50", answer.Header(Standard));
    }

    [Theory]
    [InlineData("compute", "400")]
    [InlineData("compute 2", "400")]
    [InlineData("compute 2.01", "400")]
    [InlineData("compute two.one", "400")]
    [InlineData("compute 2.1.1", "400")]
    [InlineData("compute 2.0", "406")]
    [InlineData("compute 2.105", "406")]
    [InlineData("compute 3.1", "406")]
    public async Task A_malformed_version_is_400_and_one_out_of_range_is_406(string asked, string status)
    {
        var answer = await api.GetAsync("/compute/v2.1/servers", api.Tokens.Member, (Standard, asked));
        answer.IsFault(int.Parse(status, System.Globalization.CultureInfo.InvariantCulture), status == "400" ? "badRequest" : "computeFault");
    }

    [Fact]
    public async Task The_block_storage_has_versions_of_its_own()
    {
        var path = $"/volume/v3/{api.Tokens.Project}/snapshots";
        Assert.Equal("volume 3.0", (await api.GetAsync(path, api.Tokens.Member)).Header(Standard));
        Assert.Equal("volume 3.66", (await api.GetAsync(path, api.Tokens.Member, (Standard, "volume 3.66"))).Header(Standard));
        (await api.GetAsync(path, api.Tokens.Member, (Standard, "volume 3.72"))).IsFault(406, "computeFault", "Version 3.72 is not supported by the API. Minimum is 3.0 and maximum is 3.71.");
    }

    [Theory]
    [InlineData("/compute", 200)]
    [InlineData("/compute/", 200)]
    [InlineData("/volume", 300)]
    [InlineData("/volume/v3/", 200)]
    [InlineData("/image", 300)]
    [InlineData("/image/versions", 200)]
    public async Task Clients_find_the_versions_without_a_token(string path, int status)
    {
        var answer = await api.GetAsync(path, null);
        Assert.Equal(status, (int)answer.Status);
        var version = Assert.Single(answer.Json.GetProperty("versions").EnumerateArray());
        Assert.Equal("CURRENT", version.GetProperty("status").GetString());
        Assert.StartsWith(api.Url.ToString().TrimEnd('/') + "/" + path.Split('/')[1], version.GetProperty("links")[0].GetProperty("href").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_compute_document_says_its_microversions()
    {
        var version = (await api.GetAsync("/compute/v2.1/", null)).Json.GetProperty("version");
        Assert.Equal(("v2.1", "2.104", "2.1"), (version.GetProperty("id").GetString(), version.GetProperty("version").GetString(), version.GetProperty("min_version").GetString()));
    }

    private static (string, string)[] Headers(string? standard, string? legacy) =>
        [.. standard is null ? Array.Empty<(string, string)>() : [(Standard, standard)], .. legacy is null ? Array.Empty<(string, string)>() : [(Legacy, legacy)]];
}
