using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Client;

/// <summary><c>image set</c> and <c>unset</c>, sharing, tags, and <c>volume snapshot set</c> and <c>unset</c>.</summary>
public sealed class ChangingImages(ClientAndStack both)
{
    private OpenStackClient Demo => both.Demo;

    private (string Name, string Value)[] Other => [("OS_USERNAME", "other"), ("OS_PASSWORD", both.Stack.Accounts.Other.Password), ("OS_PROJECT_NAME", "other")];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Image_set_and_unset()
    {
        var id = await ImageAsync();
        var name = $"renamed-{Guid.NewGuid():N}";
        (await Demo.RunAsync($"image set --name {name} --min-disk 3 --min-ram 64 --property purpose=backup --property \"note=a b c\" --tag gold --tag new {id}")).Succeeds();
        var image = (await Demo.RunAsync($"image show {name} -f json")).Succeeds();
        Assert.Equal((id, "3", "64"), (image["id"], image["min_disk"], image["min_ram"]));
        Assert.Equal(("backup", "a b c"), (image.Json.GetProperty("properties").GetProperty("purpose").GetString(), image.Json.GetProperty("properties").GetProperty("note").GetString()));
        Assert.Equal(["gold", "new"], image.Json.GetProperty("tags").EnumerateArray().Select(t => t.GetString()).Order(StringComparer.Ordinal));
        Assert.Equal([id], (await Demo.RunAsync($"image list --tag gold --name {name} --sort name:asc -f json")).Succeeds().Column("ID"));

        (await Demo.RunAsync($"image unset --property note --tag new {id}")).Succeeds();
        image = (await Demo.RunAsync($"image show {id} -f json")).Succeeds();
        Assert.False(image.Json.GetProperty("properties").TryGetProperty("note", out _));
        Assert.Equal(["gold"], image.Json.GetProperty("tags").EnumerateArray().Select(t => t.GetString()));
    }

    [Fact]
    public async Task A_protected_image_is_deleted_once_it_is_so_no_longer()
    {
        var id = await ImageAsync();
        (await Demo.RunAsync($"image set --protected {id}")).Succeeds();
        (await Demo.RunAsync($"image delete {id}")).Fails($"Image {id} is protected and cannot be deleted.");
        (await Demo.RunAsync($"image set --unprotected {id}")).Succeeds();
        (await Demo.RunAsync($"image delete {id}")).Succeeds();
        (await Demo.RunAsync($"image show {id}")).Fails($"No Image found for {id}");
    }

    [Fact]
    public async Task An_image_is_shared_accepted_and_taken_back()
    {
        var id = await ImageAsync();
        (await Demo.RunAsync($"image set --shared {id}")).Succeeds();
        Assert.Equal("pending", (await Demo.RunAsync($"image add project {id} {Tokens.OtherProject} -f json")).Succeeds()["status"]);
        (await Demo.RunAsync($"image add project {id} {Tokens.OtherProject}")).Fails("409");
        Assert.DoesNotContain(id, (await Demo.RunAsync("image list --shared -f json", Other)).Succeeds().Column("ID"));
        (await Demo.RunAsync($"image set --accept {id}", Other)).Succeeds();
        Assert.Contains(id, (await Demo.RunAsync("image list --shared -f json", Other)).Succeeds().Column("ID"));
        Assert.Equal(["accepted"], (await Demo.RunAsync($"image member list {id} -f json")).Succeeds().Column("Status"));
        (await Demo.RunAsync($"image set --name mine {id}", Other)).Fails("403");
        (await Demo.RunAsync($"image remove project {id} {Tokens.OtherProject}")).Succeeds();
        (await Demo.RunAsync($"image show {id}", Other)).Fails($"No Image found for {id}");
    }

    [Fact]
    public async Task An_administrator_puts_an_image_out_of_use_and_back()
    {
        var id = await ImageAsync();
        (await both.Admin.RunAsync($"image set --deactivate {id}")).Succeeds();
        Assert.Equal("deactivated", (await Demo.RunAsync($"image show {id} -f json")).Succeeds()["status"]);
        // The client does not look at the answer.
        await Demo.RunAsync($"image set --activate {id}");
        Assert.Equal("deactivated", (await Demo.RunAsync($"image show {id} -f json")).Succeeds()["status"]);
        (await both.Admin.RunAsync($"image set --activate {id}")).Succeeds();
        Assert.Equal("active", (await Demo.RunAsync($"image show {id} -f json")).Succeeds()["status"]);
    }

    [Theory]
    [InlineData("image set --public {0}", "Policy doesn't allow publicize_image to be performed.")]
    [InlineData("image set --property os_glance_x=1 {0}", "Attribute 'os_glance_x' is reserved.")]
    [InlineData("image set --property snapshotflow_consistency=application {0}", "Attribute 'snapshotflow_consistency' is read-only.")]
    [InlineData("image unset --property nothing {0}", "property unset failed, 'nothing' is a nonexistent property")]
    [InlineData("image unset --tag nothing {0}", "tag unset failed, 'nothing' is a nonexistent tag")]
    [InlineData("image set --name x nowhere", "No Image found for nowhere")]
    public async Task What_cannot_be_changed_of_an_image(string command, string why) =>
        (await Demo.RunAsync(command.Replace("{0}", await ImageAsync(), StringComparison.Ordinal))).Fails(why);

    [Fact]
    public async Task Volume_snapshot_set_and_unset()
    {
        var id = await SnapshotAsync();
        var name = $"renamed-{Guid.NewGuid():N}";
        (await Demo.RunAsync($"volume snapshot set --name {name} --description \"a b c\" --property colour=red --property size=small {id}")).Succeeds();
        var snapshot = (await Demo.RunAsync($"volume snapshot show {name} -f json")).Succeeds();
        Assert.Equal((id, "a b c"), (snapshot["id"], snapshot["description"]));
        Assert.Equal(("red", "small"), (snapshot.Json.GetProperty("properties").GetProperty("colour").GetString(), snapshot.Json.GetProperty("properties").GetProperty("size").GetString()));
        (await Demo.RunAsync($"volume snapshot unset --property size {id}")).Succeeds();
        Assert.Equal([("colour", "red")], await PropertiesAsync(id));
        (await Demo.RunAsync($"volume snapshot set --no-property --property shape=round {id}")).Succeeds();
        Assert.Equal([("shape", "round")], await PropertiesAsync(id));
    }

    private async Task<IEnumerable<(string, string?)>> PropertiesAsync(string snapshot) => (await Demo.RunAsync($"volume snapshot show {snapshot} -f json")).Succeeds()
        .Json.GetProperty("properties").EnumerateObject().Select(p => (p.Name, p.Value.GetString()));

    [Fact]
    public async Task The_state_of_a_snapshot_is_set_and_its_deletion_forced_by_administrators()
    {
        var id = await SnapshotAsync();
        (await Demo.RunAsync($"volume snapshot set --state error {id}")).Fails("One or more of the set operations failed");
        (await both.Admin.RunAsync($"volume snapshot set --state error_deleting {id}")).Succeeds();
        Assert.Equal("error_deleting", (await Demo.RunAsync($"volume snapshot show {id} -f json")).Succeeds()["status"]);
        (await Demo.RunAsync($"volume snapshot delete {id}")).Fails("1 of 1 snapshots failed to delete.");
        (await Demo.RunAsync($"volume snapshot delete --force {id}")).Fails("1 of 1 snapshots failed to delete.");
        (await both.Admin.RunAsync($"volume snapshot delete --force {id}")).Succeeds();
        await Wait.UntilAsync(
            "the snapshot to be gone", TimeSpan.FromMinutes(1), async _ => (await Demo.RunAsync($"volume snapshot show {id}")).Code != 0, Ct);
    }

    [Fact]
    public async Task Volume_service_list()
    {
        var services = (await both.Admin.RunAsync("volume service list -f json")).Succeeds();
        Assert.Contains(("cinder-volume", "enabled", "up"), services.Column("Binary").Zip(services.Column("Status"), services.Column("State")));
        (await Demo.RunAsync("volume service list")).Fails("Policy doesn't allow volume_extension:services:index to be performed.", "HTTP 403");
    }

    /// <summary>An image of no server's, as a run would have left it.</summary>
    private async Task<string> ImageAsync()
    {
        var (id, now, images) = (ImageId.New(), TimeProvider.System.GetUtcNow(), new ImageStore(both.Stack.Database));
        var draft = new ImageDraft($"image-{id}", Tokens.TenantProject, "private", null, 1, 0, new Dictionary<string, string>(), "/dev/vda", [], []);
        await both.Stack.Database.WriteAsync(
            async s =>
            {
                await images.AddQueuedAsync(s, id, draft, now);
                await images.ActivateAsync(s, id, new Dictionary<string, string> { ["snapshotflow_consistency"] = "offline" }, null, now);
            },
            Ct);
        return id.ToString();
    }

    private async Task<string> SnapshotAsync()
    {
        var id = (await Demo.RunAsync($"volume snapshot create --volume {both.Server.Volumes[1]} --force changed-{Guid.NewGuid():N} -f value -c id")).Succeeds().Out.Trim();
        await Wait.UntilAsync(
            "the snapshot to be available", TimeSpan.FromMinutes(1),
            async _ => (await Demo.RunAsync($"volume snapshot show {id} -f value -c status")).Succeeds().Out.Trim() == "available", Ct);
        return id;
    }
}
