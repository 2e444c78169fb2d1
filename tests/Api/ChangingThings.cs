using System.Net;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>What callers change of snapshots and images, and how they find them in lists; nobody is behind the api.</summary>
public sealed class ChangingThings(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private const string Patch = "application/openstack-images-v2.1-json-patch";

    private ApiUnderTest api = alone.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Snapshots => $"/volume/v3/{api.Tokens.Project}/snapshots";

    /// <summary>Projects that have nothing yet, for tests of whole lists.</summary>
    private async Task BeginWithNothingAsync() => api = await alone.Api.AnewAsync();

    [Fact]
    public async Task A_snapshot_is_renamed_and_told_of_and_nothing_but_name_and_description_can_be_said()
    {
        var snapshot = await SnapshotAsync("old");
        var answer = await PutAsync($"{Snapshots}/{snapshot.Id}", new { snapshot = new { name = " new ", description = "why" } });
        Assert.Equal(("new", "why"), (answer.Json.GetProperty("snapshot").GetProperty("name").GetString(), answer.Json.GetProperty("snapshot").GetProperty("description").GetString()));
        Assert.False(answer.Json.GetProperty("snapshot").TryGetProperty("os-extended-snapshot-attributes:progress", out _));
        Assert.Equal(
            ["snapshot.update.start", "snapshot.update.end"], (await api.Service<NotificationStore>().OfResourceAsync(snapshot.Id.ToString(), Ct)).Select(n => n.EventType));
        Assert.Equal("why", (await PutAsync($"{Snapshots}/{snapshot.Id}", new { snapshot = new { display_name = (string?)null } })).Json.GetProperty("snapshot").GetProperty("description").GetString());
        (await PutAsync($"{Snapshots}/{snapshot.Id}", new { snapshot = new { } })).IsFault(400, "badRequest");
        (await PutAsync($"{Snapshots}/{snapshot.Id}", new { snapshot = new { metadata = new { } } })).IsFault(400, "badRequest");
        (await PutAsync($"{Snapshots}/{Guid.NewGuid()}", new { snapshot = new { name = "x" } })).IsFault(404, "itemNotFound");
        (await PutAsync($"{Snapshots}/{snapshot.Id}", new { snapshot = new { name = "x" } }, api.Tokens.Reader)).IsFault(403, "forbidden", "Policy doesn't allow volume:update_snapshot to be performed.");
    }

    [Fact]
    public async Task Metadata_is_merged_replaced_and_changed_key_by_key()
    {
        var snapshot = await SnapshotAsync("one");
        var path = $"{Snapshots}/{snapshot.Id}/metadata";
        Assert.Equal("{\"metadata\":{}}", (await api.GetAsync(path, api.Tokens.Reader)).Text);
        Assert.Equal("{\"metadata\":{\"a\":\"1\",\"b\":\"2\"}}", (await api.PostAsync(path, api.Tokens.Member, new { metadata = new { a = "1", b = "2" } })).Text);
        Assert.Equal("3", (await api.PostAsync(path, api.Tokens.Member, new { metadata = new { b = "3" } })).Json.GetProperty("metadata").GetProperty("b").GetString());
        Assert.Equal("{\"metadata\":{\"c\":\"4\"}}", (await PutAsync(path, new { metadata = new { c = "4" } })).Text);
        Assert.Equal("{\"meta\":{\"c\":\"4\"}}", (await api.GetAsync(path + "/c", api.Tokens.Reader)).Text);
        Assert.Equal("{\"meta\":{\"d\":\"5\"}}", (await PutAsync(path + "/d", new { meta = new { d = "5" } })).Text);
        (await PutAsync(path + "/d", new { meta = new { e = "5" } })).IsFault(400, "badRequest", "Request body and URI mismatch");
        (await PutAsync(path + "/d", new { meta = new { d = "5", e = "6" } })).IsFault(400, "badRequest", "Request body contains too many items");
        (await PutAsync(path + "/d", new { meta = new { } })).IsFault(400, "badRequest", "Request body and URI mismatch");
        (await PutAsync(path + "/d", new { meta = new { e = "5", f = "6" } })).IsFault(400, "badRequest", "Request body and URI mismatch");
        // Null is no metadata when something is made, and says nothing of what is there already.
        (await PutAsync(path, new { metadata = (string?)null })).IsFault(400, "badRequest", "Invalid input for field/attribute metadata. Value: None. None is not of type 'object'");
        (await api.PostAsync(path, api.Tokens.Member, new { metadata = (string?)null })).IsFault(400, "badRequest");
        Assert.Equal("5", (await api.GetAsync(path, api.Tokens.Reader)).Json.GetProperty("metadata").GetProperty("d").GetString());
        (await api.GetAsync(path + "/x", api.Tokens.Reader)).IsFault(404, "itemNotFound", $"Snapshot {snapshot.Id} has no metadata with key x.");
        (await api.DeleteAsync(path + "/x", api.Tokens.Member)).IsFault(404, "itemNotFound", $"Snapshot {snapshot.Id} has no metadata with key x.");
        var deleted = await api.DeleteAsync(path + "/c", api.Tokens.Member);
        Assert.Equal((HttpStatusCode.OK, ""), (deleted.Status, deleted.Text));
        Assert.Equal("{\"metadata\":{\"d\":\"5\"}}", (await api.GetAsync(path, api.Tokens.Reader)).Text);
        (await api.PostAsync(path, api.Tokens.Reader, new { metadata = new { } })).IsFault(403, "forbidden");
    }

    [Fact]
    public async Task Twenty_changes_of_metadata_at_once_are_all_there_afterwards()
    {
        var snapshot = await SnapshotAsync("busy");
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => api.PostAsync($"{Snapshots}/{snapshot.Id}/metadata", api.Tokens.Member, new { metadata = new Dictionary<string, string> { [$"k{i}"] = "v" } })));
        Assert.Equal(20, (await api.GetAsync($"{Snapshots}/{snapshot.Id}/metadata", api.Tokens.Reader)).Json.GetProperty("metadata").EnumerateObject().Count());
    }

    [Fact]
    public async Task Twenty_patches_of_an_image_at_once_are_all_there_afterwards()
    {
        var id = await ImageAsync();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => PatchAsync(id, new[] { new { op = "add", path = $"/p{i}", value = "v" } })));
        var image = (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json;
        Assert.All(Enumerable.Range(0, 20), i => Assert.Equal("v", image.GetProperty($"p{i}").GetString()));
    }

    [Fact]
    public async Task A_status_is_reset_by_administrators_only_and_reported_by_members_along_its_two_ways()
    {
        var snapshot = await SnapshotAsync("stuck");
        Task<Answer> Act(object action, string token) => api.PostAsync($"{(token == api.Tokens.Admin ? $"/volume/v3/{api.Tokens.AdminProject}/snapshots" : Snapshots)}/{snapshot.Id}/action", token, action);
        static object Reset(string status) => new Dictionary<string, object> { ["os-reset_status"] = new { status } };
        static object Report(object report) => new Dictionary<string, object> { ["os-update_snapshot_status"] = report };
        (await Act(Reset("error"), api.Tokens.Member)).IsFault(403, "forbidden", "Policy doesn't allow volume_extension:snapshot_admin_actions:reset_status to be performed.");
        (await Act(Reset("weird"), api.Tokens.Admin)).IsFault(400, "badRequest");
        (await Act(Reset("deleted"), api.Tokens.Admin)).IsFault(400, "badRequest");
        Assert.Equal(HttpStatusCode.Accepted, (await Act(Reset("Error_Deleting"), api.Tokens.Admin)).Status);
        Assert.Equal("error_deleting", await StatusAsync(snapshot));
        Assert.Equal(
            ["snapshot.reset_status.start", "snapshot.reset_status.end"], (await api.Service<NotificationStore>().OfResourceAsync(snapshot.Id.ToString(), Ct)).Select(n => n.EventType));

        (await Act(Report(new { status = "available" }), api.Tokens.Member)).IsFault(400, "badRequest");
        await Act(Reset("creating"), api.Tokens.Admin);
        (await Act(Report(new { status = "deleting" }), api.Tokens.Member)).IsFault(400, "badRequest");
        (await Act(Report(new { status = "available", progress = "101%" }), api.Tokens.Member)).IsFault(400, "badRequest");
        Assert.Equal(HttpStatusCode.Accepted, (await Act(Report(new { status = "creating", progress = "90%" }), api.Tokens.Member)).Status);
        Assert.Equal("90%", (await api.GetAsync($"{Snapshots}/{snapshot.Id}", api.Tokens.Reader)).Json.GetProperty("snapshot").GetProperty("os-extended-snapshot-attributes:progress").GetString());
        Assert.Equal(HttpStatusCode.Accepted, (await Act(Report(new { status = "available", progress = "100%" }), api.Tokens.Member)).Status);
        (await Act(new { teleport = new { } }, api.Tokens.Member)).IsFault(400, "badRequest", "There is no such action: teleport");
        (await Act(new Dictionary<string, object?> { ["os-force_delete"] = null }, api.Tokens.Member)).IsFault(403, "forbidden");
    }

    [Fact]
    public async Task Progress_is_a_percentage_and_nothing_else()
    {
        var snapshot = await SnapshotAsync("slow");
        Task<Answer> Act(string token, string project, object action) => api.PostAsync($"/volume/v3/{project}/snapshots/{snapshot.Id}/action", token, action);
        await Act(api.Tokens.Admin, api.Tokens.AdminProject, new Dictionary<string, object> { ["os-reset_status"] = new { status = "creating" } });
        Task<Answer> Report(object? progress) => Act(
            api.Tokens.Member, api.Tokens.Project, new Dictionary<string, object> { ["os-update_snapshot_status"] = new { status = "creating", progress } });
        foreach (var odd in new object?[] { "50", "103%", "", " ", " 50%", "50 %", "-1%", "%", 50, null })
        {
            (await Report(odd)).IsFault(400, "badRequest");
        }

        foreach (var good in new[] { "0%", "50%", "100%" })
        {
            Assert.Equal(HttpStatusCode.Accepted, (await Report(good)).Status);
        }

        (await Act(api.Tokens.Member, api.Tokens.Project, new Dictionary<string, object> { ["os-update_snapshot_status"] = new { progress = "50%" } })).IsFault(400, "badRequest");
        (await Act(api.Tokens.Admin, api.Tokens.AdminProject, new Dictionary<string, object> { ["os-reset_status"] = new { stat = "error" } })).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task Snapshots_are_sorted_filtered_counted_and_paged_as_asked()
    {
        await BeginWithNothingAsync();
        var (b, a, c) = (await SnapshotAsync("b", 0), await SnapshotAsync("a", 1), await SnapshotAsync("c", 2));
        await api.PostAsync($"{Snapshots}/{a.Id}/metadata", api.Tokens.Member, new { metadata = new { colour = "red" } });
        Assert.Equal(["c", "a", "b"], await NamesAsync(""));
        Assert.Equal(["b", "a", "c"], await NamesAsync("?sort=created_at:asc"));
        Assert.Equal(["a", "b", "c"], await NamesAsync("?sort=name:asc", "3.30"));
        Assert.Equal(["c", "b", "a"], await NamesAsync("?sort_key=display_name&sort_dir=desc"));
        Assert.Equal(["a"], await NamesAsync("?name=a"));
        Assert.Equal(["b"], await NamesAsync($"?volume_id={b.VolumeId}"));
        Assert.Equal(["a"], await NamesAsync("?metadata={'colour': 'red'}", "3.22"));
        Assert.Equal(["c", "a", "b"], await NamesAsync("?metadata={'colour': 'red'}", "3.21"));
        Assert.Equal(["c"], await NamesAsync("?name~=c", "3.34"));
        Assert.Empty(await NamesAsync("?consumes_quota=false", "3.65"));
        Assert.Empty(await NamesAsync("?status=error"));
        Assert.Equal(["b", "a"], await NamesAsync("?sort=created_at:asc&limit=2"));
        Assert.Equal(["c"], await NamesAsync($"?sort=created_at:asc&limit=2&marker={a.Id}"));
        Assert.Equal(["a"], await NamesAsync("?sort=created_at:asc&limit=1&offset=1"));
        Assert.Empty(await NamesAsync("?offset=99999999999"));
        var counted = await api.GetAsync(Snapshots + "?limit=1&with_count=true", api.Tokens.Reader, Version("3.45"));
        Assert.Equal((1, 3), (counted.Json.GetProperty("snapshots").GetArrayLength(), counted.Json.GetProperty("count").GetInt32()));
        Assert.False((await api.GetAsync(Snapshots + "?with_count=true", api.Tokens.Reader)).Json.TryGetProperty("count", out _));
        Assert.NotEqual(c.Id, a.Id);
        foreach (var bad in new[] { "?sort=name:asc", "?sort_key=colour", "?sort=id:up", "?sort=id&sort_key=id", "?limit=-1", "?limit=x", "?offset=-1", "?offset=x" })
        {
            (await api.GetAsync(Snapshots + bad, api.Tokens.Reader)).IsFault(400, "badRequest");
        }

        (await api.GetAsync(Snapshots + "?metadata=red", api.Tokens.Reader, Version("3.22"))).IsFault(400, "badRequest");
        (await api.GetAsync(Snapshots + "?colour=red", api.Tokens.Reader, Version("3.31"))).IsFault(400, "badRequest");
    }

    [Fact]
    public async Task From_3_67_on_the_project_may_be_left_out_of_the_path()
    {
        var snapshot = await SnapshotAsync("short");
        Task<Answer> Get(string path, string version, string? token = null) => api.GetAsync($"/volume/v3/{path}", token ?? api.Tokens.Reader, Version(version));
        foreach (var path in new[] { "snapshots", "snapshots/detail", $"snapshots/{snapshot.Id}", $"snapshots/{snapshot.Id}/metadata", "volumes", $"volumes/{snapshot.VolumeId}", "limits", "types", "messages", $"os-quota-sets/{api.Tokens.Project}" })
        {
            Assert.Equal(HttpStatusCode.OK, (await Get(path, "3.67")).Status);
            (await Get(path, "3.66")).IsFault(404, "itemNotFound");
        }

        (await Get($"snapshots/{snapshot.Id}", "3.67", api.Tokens.OtherMember)).IsFault(404, "itemNotFound", $"Snapshot {snapshot.Id} could not be found.");
        (await Get("os-services", "3.67")).IsFault(403, "forbidden");
        Assert.Equal(401, (int)(await api.GetAsync("/volume/v3/snapshots", null, Version("3.67"))).Status);
        var page = (await Get("snapshots?limit=1", "3.67")).Json.GetProperty("snapshots_links")[0].GetProperty("href").GetString()!;
        Assert.Contains("/volume/v3/snapshots?limit=1&marker=", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_is_changed_by_a_patch_as_the_client_sends_it_and_told_of()
    {
        var id = await ImageAsync(new() { ["note"] = "old", ["gone"] = "soon" });
        var answer = await PatchAsync(id, new object[]
        {
            new { op = "replace", path = "/name", value = "renamed" }, new { op = "replace", path = "/note", value = "new" }, new { op = "add", path = "/a~1b", value = "c" },
            new { op = "remove", path = "/gone" }, new { op = "replace", path = "/tags", value = new[] { "x", "y", "x" } }, new { op = "add", path = "/protected", value = true },
            new { op = "replace", path = "/min_disk", value = 30 }, new { op = "replace", path = "/visibility", value = "shared" },
        });
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        var image = answer.Json;
        Assert.Equal(("renamed", "new", "c", true, 30, "shared"), (
            image.GetProperty("name").GetString(), image.GetProperty("note").GetString(), image.GetProperty("a/b").GetString(), image.GetProperty("protected").GetBoolean(),
            image.GetProperty("min_disk").GetInt32(), image.GetProperty("visibility").GetString()));
        Assert.Equal(["x", "y"], image.GetProperty("tags").EnumerateArray().Select(t => t.GetString()));
        Assert.False(image.TryGetProperty("gone", out _));
        Assert.Equal(JsonSerializer.Serialize(image.GetProperty("tags")), JsonSerializer.Serialize((await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json.GetProperty("tags")));
        Assert.Equal(["image.update"], (await api.Service<NotificationStore>().OfResourceAsync(id.ToString(), Ct)).Select(n => n.EventType));
        Assert.Equal("z", (await PatchTextAsync(id, """[{"op": "add", "path": "/tags", "value": ["z"]}]""")).Json.GetProperty("tags")[0].GetString());
        Assert.Equal("older", (await PatchAsync(id, new[] { new Dictionary<string, object> { ["replace"] = "/name", ["value"] = "older" } }, "application/openstack-images-v2.0-json-patch"))
            .Json.GetProperty("name").GetString());
    }

    [Theory]
    [InlineData("""[{"op": "replace", "path": "/nothere", "value": "x"}]""", 409, "Conflict", "Property nothere does not exist.")]
    [InlineData("""[{"op": "remove", "path": "/nothere"}]""", 409, "Conflict", "Property nothere does not exist.")]
    [InlineData("""[{"op": "remove", "path": "/name"}]""", 403, "Forbidden", "Property name may not be removed.")]
    [InlineData("""[{"op": "replace", "path": "/status", "value": "deleted"}]""", 403, "Forbidden", "Attribute 'status' is read-only.")]
    [InlineData("""[{"op": "add", "path": "/id", "value": "x"}]""", 403, "Forbidden", "Attribute 'id' is read-only.")]
    [InlineData("""[{"op": "add", "path": "/location", "value": "x"}]""", 403, "Forbidden", "Attribute 'location' is reserved.")]
    [InlineData("""[{"op": "add", "path": "/os_glance_x", "value": "x"}]""", 403, "Forbidden", "Attribute 'os_glance_x' is reserved.")]
    [InlineData("""[{"op": "replace", "path": "/snapshotflow_consistency", "value": "application"}]""", 403, "Forbidden", "Attribute 'snapshotflow_consistency' is read-only.")]
    [InlineData("""[{"op": "replace", "path": "/owner", "value": "me"}]""", 403, "Forbidden", "You are not permitted to modify 'owner' on this image.")]
    [InlineData("""[{"op": "replace", "path": "/visibility", "value": "public"}]""", 403, "Forbidden", "Policy doesn't allow publicize_image to be performed.")]
    [InlineData("""[{"op": "replace", "path": "/disk_format", "value": "qcow2"}]""", 403, "Forbidden", "Attribute disk_format can be only replaced for a queued image.")]
    [InlineData("""[{"op": "replace", "path": "/a/b", "value": "x"}]""", 400, "Bad Request", "Invalid JSON pointer for this resource: '/a/b'")]
    [InlineData("""{"op": "replace"}""", 400, "Bad Request", "Request body must be a JSON array of operation objects.")]
    [InlineData("""[{"op": "move", "path": "/a", "value": "x"}]""", 400, "Bad Request", "Operations must have exactly one of the methods add, replace, remove.")]
    [InlineData("""[{"op": "add", "path": "/a", "value": 7}]""", 400, "Bad Request", "Invalid input for field/attribute a. Value: 7. 7 is not of type 'string'")]
    public async Task A_patch_that_cannot_be_is_refused_in_Glances_words_and_changes_nothing(string patch, int status, string title, string message)
    {
        var id = await ImageAsync(new() { ["note"] = "old" });
        var before = (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Text;
        // A good operation before the bad one must not take effect either.
        var both = patch.StartsWith('[') ? patch.Insert(1, """{"op": "replace", "path": "/name", "value": "half"}, """) : patch;
        (await PatchTextAsync(id, both)).IsImageFault(status, title, message);
        Assert.Equal(before, (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Text);
    }

    [Fact]
    public async Task An_image_has_at_most_128_properties_and_only_more_of_them_is_too_many()
    {
        var id = await ImageAsync(Enumerable.Range(0, 128).ToDictionary(i => $"p{i}", _ => "v"));
        (await PatchTextAsync(id, """[{"op": "add", "path": "/one_more", "value": "x"}]""")).IsImageFault(
            413, "Payload Too Large", "The limit has been exceeded on the number of allowed image properties. Attempted: 129, Maximum: 128");
        Assert.Equal(HttpStatusCode.OK, (await PatchTextAsync(id, """[{"op": "replace", "path": "/p0", "value": "x"}]""")).Status);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await PatchAsync(id, Array.Empty<object>(), "application/json")).Status);
    }

    [Fact]
    public async Task Images_are_sorted_and_filtered_by_everything_that_Glance_knows()
    {
        await BeginWithNothingAsync();
        var (one, two, three) = (
            await ImageAsync(name: "b", at: Given.Now), await ImageAsync(name: "a", at: Given.Now.AddMinutes(1)), await ImageAsync(name: "c", at: Given.Now.AddMinutes(2)));
        await PatchTextAsync(two, """[{"op": "replace", "path": "/tags", "value": ["gold", "new"]}, {"op": "replace", "path": "/protected", "value": true}]""");
        Assert.Equal(["a", "b", "c"], await ImageNamesAsync("sort=name:asc"));
        Assert.Equal(["c", "b", "a"], await ImageNamesAsync("sort_key=name&sort_dir=desc"));
        Assert.Equal(["b", "a"], await ImageNamesAsync("sort=created_at:asc&limit=2"));
        Assert.Equal(["c"], await ImageNamesAsync($"sort=created_at:asc&limit=2&marker={two}"));
        Assert.Equal(["a"], await ImageNamesAsync("tag=gold&tag=new"));
        Assert.Empty(await ImageNamesAsync("tag=gold&tag=old"));
        Assert.Equal(["a"], await ImageNamesAsync("protected=true"));
        Assert.Equal(["c", "b"], await ImageNamesAsync($"id=in:{one},{three}"));
        Assert.Equal(["c", "b"], await ImageNamesAsync("name=in:b,\"c\""));
        Assert.Equal(["c", "a"], await ImageNamesAsync("created_at=gt:2026-08-01T10:00:00Z"));
        Assert.Equal(["b"], await ImageNamesAsync("created_at=lte:2026-08-01T10:00:00Z"));
        Assert.Equal(3, (await ImageNamesAsync($"disk_format=raw&container_format=bare&size_min=0&size_max=0&min_disk=20&os_hash_algo=sha512&checksum={Image.EmptyChecksum}")).Count);
        Assert.Empty(await ImageNamesAsync("size_min=1"));
        foreach (var bad in new[] { "sort=name:asc&sort_key=name", "sort_key=colour", "sort=name:up", "size_min=x", "created_at=gt:yesterday", "member_status=perhaps", "visibility=secret", "changes-since=2020" })
        {
            Assert.Equal(400, (int)(await api.GetAsync("/image/v2/images?" + bad, api.Tokens.Reader)).Status);
        }
    }

    [Fact]
    public async Task A_shared_image_is_seen_by_its_members_who_say_what_they_think_of_it()
    {
        await BeginWithNothingAsync();
        var id = await ImageAsync();
        var members = $"/image/v2/images/{id}/members";
        (await api.PostAsync(members, api.Tokens.Member, new { member = api.Tokens.OtherProject })).IsImageFault(403, "Forbidden", "Only shared images have members.");
        await PatchTextAsync(id, """[{"op": "replace", "path": "/visibility", "value": "shared"}]""");
        var added = await api.PostAsync(members, api.Tokens.Member, new { member = api.Tokens.OtherProject });
        Assert.Equal((HttpStatusCode.OK, "pending", api.Tokens.OtherProject), (added.Status, added.Json.GetProperty("status").GetString(), added.Json.GetProperty("member_id").GetString()));
        (await api.PostAsync(members, api.Tokens.Member, new { member = api.Tokens.OtherProject })).IsImageFault(409, "Conflict", $"Member {api.Tokens.OtherProject} is duplicated for image {id}");
        Assert.Equal(400, (int)(await api.PostAsync(members, api.Tokens.Member, new { })).Status);
        Assert.Equal(400, (int)(await api.PostAsync(members, api.Tokens.Member, new { member = "" })).Status);

        // Pending: shown by its id, not in the list.
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.OtherMember)).Status);
        Assert.Empty((await api.GetAsync("/image/v2/images", api.Tokens.OtherMember)).Json.GetProperty("images").EnumerateArray());
        Assert.Single((await api.GetAsync("/image/v2/images?member_status=pending", api.Tokens.OtherMember)).Json.GetProperty("images").EnumerateArray());
        Task<Answer> Answer(string token, string status) => PutAsync($"{members}/{api.Tokens.OtherProject}", new { status }, token);
        Assert.Equal(403, (int)(await Answer(api.Tokens.Member, "accepted")).Status);
        Assert.Equal(400, (int)(await Answer(api.Tokens.OtherMember, "perhaps")).Status);
        Assert.Equal("accepted", (await PutAsync($"{members}/{api.Tokens.OtherProject}", new { member = api.Tokens.OtherProject, status = "accepted" }, api.Tokens.OtherMember))
            .Json.GetProperty("status").GetString());
        Assert.Single((await api.GetAsync("/image/v2/images", api.Tokens.OtherMember)).Json.GetProperty("images").EnumerateArray());
        Assert.Equal(403, (int)(await PatchTextAsync(id, """[{"op": "replace", "path": "/name", "value": "mine"}]""", api.Tokens.OtherMember)).Status);
        Assert.Single((await api.GetAsync(members, api.Tokens.OtherMember)).Json.GetProperty("members").EnumerateArray());

        Assert.Equal(403, (int)(await api.DeleteAsync($"{members}/{api.Tokens.OtherProject}", api.Tokens.OtherMember)).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await api.DeleteAsync($"{members}/{api.Tokens.OtherProject}", api.Tokens.Member)).Status);
        Assert.Equal(404, (int)(await api.DeleteAsync($"{members}/{api.Tokens.OtherProject}", api.Tokens.Member)).Status);
        Assert.Equal(404, (int)(await api.GetAsync($"/image/v2/images/{id}", api.Tokens.OtherMember)).Status);
        Assert.Equal(
            ["image.update", "image.member.create", "image.member.update", "image.member.delete"],
            (await api.Service<NotificationStore>().OfResourceAsync(id.ToString(), Ct)).Select(n => n.EventType));
    }

    [Fact]
    public async Task An_image_is_tagged_put_out_of_use_and_back_and_has_no_contents()
    {
        var id = await ImageAsync();
        Task<Answer> Send(HttpMethod method, string path, string token) => api.SendAsync(method, $"/image/v2/images/{id}{path}", token, null);
        Assert.Equal(HttpStatusCode.NoContent, (await Send(HttpMethod.Put, "/tags/gold", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await Send(HttpMethod.Put, "/tags/gold", api.Tokens.Member)).Status);
        Assert.Equal("gold", (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json.GetProperty("tags")[0].GetString());
        Assert.Equal(HttpStatusCode.NoContent, (await Send(HttpMethod.Delete, "/tags/gold", api.Tokens.Member)).Status);
        Assert.Equal(404, (int)(await Send(HttpMethod.Delete, "/tags/gold", api.Tokens.Member)).Status);
        Assert.Equal(403, (int)(await Send(HttpMethod.Post, "/actions/deactivate", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await Send(HttpMethod.Post, "/actions/deactivate", api.Tokens.Admin)).Status);
        Assert.Equal("deactivated", (await api.GetAsync($"/image/v2/images/{id}", api.Tokens.Reader)).Json.GetProperty("status").GetString());
        (await Send(HttpMethod.Get, "/file", api.Tokens.Member)).IsImageFault(403, "Forbidden", "The requested image has been deactivated. Image data download is forbidden.");
        Assert.Equal(HttpStatusCode.NoContent, (await Send(HttpMethod.Post, "/actions/reactivate", api.Tokens.Admin)).Status);
        Assert.Equal(HttpStatusCode.NoContent, (await Send(HttpMethod.Get, "/file", api.Tokens.Member)).Status);
        (await Send(HttpMethod.Get, "/file", api.Tokens.Reader)).IsImageFault(403, "Forbidden", "Policy doesn't allow download_image to be performed.");
        foreach (var schema in new[] { "image", "images", "member", "members" })
        {
            Assert.Equal(schema, (await api.GetAsync($"/image/v2/schemas/{schema}", api.Tokens.Reader)).Json.GetProperty("name").GetString());
        }

        var described = (await api.GetAsync("/image/v2/schemas/image", api.Tokens.Reader)).Json;
        Assert.True(described.GetProperty("properties").GetProperty("status").GetProperty("readOnly").GetBoolean());
        Assert.Equal("string", described.GetProperty("additionalProperties").GetProperty("type").GetString());
    }

    private static (string, string) Version(string version) => ("OpenStack-API-Version", $"volume {version}");

    private async Task<List<string?>> NamesAsync(string query, string version = "3.0") =>
        [.. (await api.GetAsync(Snapshots + query, api.Tokens.Reader, Version(version))).Json.GetProperty("snapshots").EnumerateArray().Select(s => s.GetProperty("name").GetString())];

    private async Task<List<string?>> ImageNamesAsync(string query) =>
        [.. (await api.GetAsync("/image/v2/images?" + query, api.Tokens.Reader)).Json.GetProperty("images").EnumerateArray().Select(i => i.GetProperty("name").GetString())];

    private async Task<string?> StatusAsync(Snapshot snapshot) =>
        (await api.GetAsync($"{Snapshots}/{snapshot.Id}", api.Tokens.Reader)).Json.GetProperty("snapshot").GetProperty("status").GetString();

    private Task<Answer> PutAsync(string path, object body, string? token = null) =>
        api.SendAsync(HttpMethod.Put, path, token ?? api.Tokens.Member, new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json"));

    private Task<Answer> PatchAsync(ImageId id, object body, string contentType = Patch) => PatchTextAsync(id, JsonSerializer.Serialize(body), null, contentType);

    private Task<Answer> PatchTextAsync(ImageId id, string body, string? token = null, string contentType = Patch) =>
        api.SendAsync(HttpMethod.Patch, $"/image/v2/images/{id}", token ?? api.Tokens.Member, new StringContent(body, Encoding.UTF8, contentType));

    private async Task<ImageId> ImageAsync(Dictionary<string, string>? properties = null, string name = "image", DateTimeOffset? at = null)
    {
        var (id, now) = (ImageId.New(), at ?? Given.Now);
        await api.Service<Database>().WriteAsync(
            async s =>
            {
                await api.Service<ImageStore>().AddQueuedAsync(s, id, Given.Draft(api.Tokens.Project, name), now);
                Assert.True(await api.Service<ImageStore>().ActivateAsync(s, id, properties ?? [], null, now.AddSeconds(1)));
            },
            Ct);
        return id;
    }

    private async Task<Snapshot> SnapshotAsync(string name, int minutes = 0)
    {
        var server = await api.RegisterServerAsync();
        var devices = await api.Service<ServerStore>().BlockDevicesAsync(server.Id, Ct);
        var snapshot = Given.Snapshot(Given.Volume(api.Tokens.Project) with { Id = devices[0].VolumeId!.Value }, createdAt: Given.Now.AddMinutes(minutes)) with
        {
            Name = name, Status = SnapshotStatus.Available, ProgressPercent = 100,
        };
        await api.Service<Database>().WriteAsync(s => api.Service<SnapshotStore>().AddAsync(s, [snapshot]), Ct);
        return snapshot;
    }
}
