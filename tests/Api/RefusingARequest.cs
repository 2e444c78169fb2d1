namespace SnapshotFlow.Tests.Api;

/// <summary>createImage and POST /runs: everything that is said before a run starts.</summary>
public sealed class RefusingARequest(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private static readonly string Nobody = "11111111-2222-3333-4444-555555555555";

    private readonly ApiUnderTest api = alone.Api;

    public static TheoryData<string, string> BadBodies => new()
    {
        { """[]""", "Malformed request body" },
        { """{}""", "Malformed request body" },
        { """{"createImage": {"name": "a"}, "reboot": {}}""", "Malformed request body" },
        { """{"createImage": {"name": "a"}""", "Malformed request body" },
        { """{"createImage": {"name": "a", "name": "b"}}""", "Malformed request body" },
        { """{"createImage": {"name": "\ud800"}}""", "Malformed request body" },
        { "", "Malformed request body" },
        { """{"makeCoffee": {}}""", "There is no such action: makeCoffee. createImage is all that is done to servers here" },
        { """{"createImage": null}""", "Invalid input for field/attribute createImage. Value: None. None is not of type 'object'" },
        { """{"createImage": {}}""", "Invalid input for field/attribute createImage. Value: {}. 'name' is a required property" },
        {
            """{"createImage": {"name": "a", "x": true}}""",
            "Invalid input for field/attribute createImage. Value: {'name': 'a', 'x': True}. Additional properties are not allowed ('x' was unexpected)"
        },
        { """{"createImage": {"name": 7}}""", "Invalid input for field/attribute name. Value: 7. 7 is not of type 'string'" },
        { """{"createImage": {"name": ""}}""", "Invalid input for field/attribute name. Value: . '' is too short" },
        { """{"createImage": {"name": " a"}}""", BadName },
        { """{"createImage": {"name": "a "}}""", BadName },
        { """{"createImage": {"name": "a\u0000b"}}""", BadName },
        { """{"createImage": {"name": "smile 😀"}}""", BadName },
        { """{"createImage": {"name": "a", "metadata": null}}""", "Invalid input for field/attribute metadata. Value: None. None is not of type 'object'" },
        { """{"createImage": {"name": "a", "metadata": "henry"}}""", "Invalid input for field/attribute metadata. Value: henry. 'henry' is not of type 'object'" },
        { """{"createImage": {"name": "a", "metadata": {"k": 1.50}}}""", "Invalid input for field/attribute k. Value: 1.50. 1.50 is not of type 'string'" },
        { """{"createImage": {"name": "a", "metadata": {"k": {"a": [1, "it's"]}}}}""", """Invalid input for field/attribute k. Value: {'a': [1, "it's"]}. {'a': [1, "it's"]} is not of type 'string'""" },
    };

    private const string BadName = "An invalid 'name' value was provided. The name must be: printable characters. Can not start or end with whitespace.";

    [Theory]
    [MemberData(nameof(BadBodies))]
    public async Task A_bad_body_is_400_with_the_words_of_Nova_even_when_there_is_no_such_server(string body, string message) =>
        (await api.PostTextAsync($"/compute/v2.1/servers/{Nobody}/action", api.Tokens.Member, body, "application/json")).IsFault(400, "badRequest", message);

    [Fact]
    public async Task A_name_of_256_characters_is_too_long()
    {
        var name = new string('n', 256);
        (await CreateAsync(new { name })).IsFault(400, "badRequest", $"Invalid input for field/attribute name. Value: {name}. '{name}' is too long");
    }

    [Fact]
    public async Task A_name_of_243_characters_is_refused_before_the_block_storage_would_refuse_its_snapshots()
    {
        (await CreateAsync(new { name = new string('n', 243) })).IsFault(400, "badRequest");
        (await CreateAsync(new { name = new string('n', 242) })).IsFault(404, "itemNotFound");
    }

    [Theory]
    [InlineData("₡")]
    [InlineData("a b")]
    [InlineData("Ünïcödé")]
    public async Task A_printable_name_is_accepted(string name) => (await CreateAsync(new { name })).IsFault(404, "itemNotFound");

    [Theory]
    [InlineData("", "v")]
    [InlineData("a/b", "v")]
    [InlineData("a\n", "v")]
    [InlineData("ä", "v")]
    [InlineData("k", "nul\0")]
    [InlineData("k", "😀")]
    [InlineData("id", "v")]
    [InlineData("owner", "v")]
    [InlineData("os_glance_stage_host", "v")]
    public async Task A_bad_key_or_value_of_metadata_is_400(string key, string value) =>
        (await CreateAsync(new { name = "a", metadata = new Dictionary<string, string> { [key] = value } })).IsFault(400, "badRequest");

    [Fact]
    public async Task Keys_and_values_of_256_characters_are_400_and_255_are_not()
    {
        var just = new string('m', 255);
        (await CreateAsync(new { name = "a", metadata = new Dictionary<string, string> { [just + "m"] = "v" } })).IsFault(400, "badRequest");
        (await CreateAsync(new { name = "a", metadata = new Dictionary<string, string> { ["k"] = just + "m" } })).IsFault(400, "badRequest");
        (await CreateAsync(new { name = "a", metadata = new Dictionary<string, string> { [just] = just } })).IsFault(404, "itemNotFound");
    }

    [Fact]
    public async Task An_unknown_server_is_404_and_so_is_one_that_is_no_uuid_and_one_of_another_project()
    {
        var foreign = await api.RegisterServerAsync(project: api.Tokens.OtherProject);
        foreach (var id in new[] { Nobody, "no-uuid", foreign.Id.ToString() })
        {
            (await api.CreateImageAsync(id, api.Tokens.Member, new { name = "a" })).IsFault(404, "itemNotFound", $"Instance {id} could not be found.");
            // Not found comes before forbidden: who may not act learns no more than who may.
            (await api.CreateImageAsync(id, api.Tokens.Reader, new { name = "a" })).IsFault(404, "itemNotFound", $"Instance {id} could not be found.");
        }
    }

    [Fact]
    public async Task A_reader_may_not_create_an_image()
    {
        var server = await api.RegisterServerAsync();
        (await api.CreateImageAsync(server.Id, api.Tokens.Reader, new { name = "a" }))
            .IsFault(403, "forbidden", "Policy doesn't allow os_compute_api:servers:create_image to be performed.");
        (await api.PostAsync("/runs", api.Tokens.Reader, new { server_id = server.Id, name = "a" })).IsFault(403, "forbidden");
    }

    [Fact]
    public async Task A_project_in_the_path_must_be_the_tokens()
    {
        var own = await api.PostAsync($"/compute/v2.1/{api.Tokens.Project}/servers/{Nobody}/action", api.Tokens.Member, new { createImage = new { name = "a" } });
        own.IsFault(404, "itemNotFound");
        var other = await api.PostAsync("/compute/v2.1/elsewhere/servers/x/action", api.Tokens.Member, new { createImage = new { name = "a" } });
        other.IsFault(400, "badRequest", $"Malformed request URL: URL's project_id 'elsewhere' doesn't match Context's project_id '{api.Tokens.Project}'");
    }

    [Fact]
    public async Task More_than_128_items_of_metadata_are_forbidden_below_2_39()
    {
        var server = await api.RegisterServerAsync();
        var metadata = Enumerable.Range(0, 129).ToDictionary(i => $"k{i}", _ => "v");
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "a", metadata }, ("X-OpenStack-Nova-API-Version", "2.38")))
            .IsFault(403, "forbidden", "Image metadata limit exceeded");
        // From 2.39 on the request goes on, here to a Temporal that is not there.
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "a", metadata }, ("X-OpenStack-Nova-API-Version", "2.39"))).IsFault(503, "serviceUnavailable");
    }

    [Theory]
    [InlineData("{}", "'server_id' is a required property")]
    [InlineData("""{"server_id": "x"}""", "'name' is a required property")]
    [InlineData("""{"server_id": "x", "name": "a"}""", "server_id")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "qiesce": "try"}""", "'qiesce' was unexpected")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "quiesce": "maybe"}""", "'maybe' is not one of ['try', 'require', 'skip']")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "freeze_deadline": 0.9}""", "0.9 is less than the minimum of 1")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "freeze_deadline": 61}""", "61 is greater than the maximum of 60")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "freeze_deadline": 1e999}""", "freeze_deadline")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "freeze_deadline": "8"}""", "'8' is not of type 'number'")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "on_expiry": "explode"}""", "'explode' is not one of ['downgrade', 'fail']")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": "a", "dry_run": "yes"}""", "'yes' is not of type 'boolean'")]
    [InlineData("""{"server_id": "11111111-2222-3333-4444-555555555555", "name": " "}""", "printable")]
    public async Task A_bad_body_of_a_run_is_400_and_names_what_is_wrong(string body, string part)
    {
        var answer = await api.PostTextAsync("/runs", api.Tokens.Member, body, "application/json");
        answer.IsFault(400, "badRequest");
        Assert.Contains(part, answer.Json.GetProperty("badRequest").GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    public async Task An_idempotency_key_that_is_none_is_400(string key)
    {
        var server = await api.RegisterServerAsync();
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "a" }, ("Idempotency-Key", key))).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task Temporal_away_is_503_and_says_so()
    {
        var server = await api.RegisterServerAsync();
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "a" })).IsFault(503, "serviceUnavailable", "Temporal is not available. Try again in a few seconds.");
        (await api.PostAsync("/runs", api.Tokens.Member, new { server_id = server.Id, name = "a", dry_run = true })).IsFault(503, "serviceUnavailable");
    }

    private Task<Answer> CreateAsync(object createImage) => api.CreateImageAsync(Nobody, api.Tokens.Member, createImage);
}
