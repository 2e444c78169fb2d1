using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Client;

/// <summary><c>volume set</c>, <c>volume unset</c>, <c>volume list</c> in parts, <c>volume delete --force</c>.</summary>
public sealed class ChangingVolumes(ClientAndStack both)
{
    private OpenStackClient Demo => both.Demo;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Volume_set_and_unset()
    {
        var id = await VolumeAsync();
        var name = $"renamed-{Guid.NewGuid():N}";
        (await Demo.RunAsync($"volume set --name {name} --description \"for the night\" --property purpose=backup --property \"note=a b c\" {id}")).Succeeds();
        var volume = (await Demo.RunAsync($"volume show {name} -f json")).Succeeds();
        Assert.Equal((id, "for the night"), (volume["id"], volume["description"]));
        Assert.Equal(("backup", "a b c"), (Property(volume, "purpose"), Property(volume, "note")));
        Assert.Equal([id], (await Demo.RunAsync($"volume list --name {name} --long -f json")).Succeeds().Column("ID"));

        (await Demo.RunAsync($"volume unset --property note {id}")).Succeeds();
        volume = (await Demo.RunAsync($"volume show {id} -f json")).Succeeds();
        Assert.Equal(("backup", null), (Property(volume, "purpose"), Property(volume, "note")));

        (await Demo.RunAsync($"volume set --no-property --property only=this {id}")).Succeeds();
        volume = (await Demo.RunAsync($"volume show {id} -f json")).Succeeds();
        Assert.Equal((null, "this"), (Property(volume, "purpose"), Property(volume, "only")));

        // From 3.15 on the client reads the metadata, and sends back what is left of it with its tag.
        (await Demo.RunAsync($"--os-volume-api-version 3.60 volume unset --property only {id}")).Succeeds();
        Assert.Null(Property((await Demo.RunAsync($"volume show {id} -f json")).Succeeds(), "only"));
    }

    [Fact]
    public async Task Volume_set_of_what_the_record_says()
    {
        var id = await VolumeAsync();
        (await Demo.RunAsync($"volume set --bootable {id}")).Succeeds();
        Assert.Equal("true", (await Demo.RunAsync($"volume show {id} -f json")).Succeeds()["bootable"]);
        (await Demo.RunAsync($"volume set --state error {id}")).Fails("Policy doesn't allow volume_extension:volume_admin_actions:reset_status to be performed.", "HTTP 403");
        (await both.Admin.RunAsync($"volume set --state error_deleting {id}")).Succeeds();
        Assert.Equal("error_deleting", (await Demo.RunAsync($"volume show {id} -f json")).Succeeds()["status"]);
        (await Demo.RunAsync($"volume delete --force {id}")).Fails("HTTP 403");
        (await both.Admin.RunAsync($"volume delete --force {id}")).Succeeds();
        await Wait.UntilAsync($"volume {id} to be gone", TimeSpan.FromMinutes(1), async _ => (await Demo.RunAsync($"volume show {id}")).Code != 0, Ct);
    }

    [Theory]
    // The client itself refuses to extend what is attached, as long as it is not told to ask for 3.42.
    [InlineData("volume set --size 9 VOLUME", "Failed to set volume size: Volume is in in-use state")]
    [InlineData("volume set --read-only VOLUME", "There is no such action: os-update_readonly_flag (HTTP 400)")]
    [InlineData("volume set --name x nowhere", "No volume with a name or ID of 'nowhere' exists.")]
    [InlineData("volume unset --property never-there VOLUME", "has no metadata with key never-there. (HTTP 404)")]
    [InlineData("volume set --property ä=b VOLUME", "Additional properties are not allowed")]
    [InlineData("volume list --marker nowhere", "Volume nowhere could not be found. (HTTP 404)")]
    [InlineData("volume create --size 1 empty", "Volumes are made from snapshots here: give snapshot_id")]
    public async Task What_cannot_be_said_of_a_volume(string command, string why) =>
        (await Demo.RunAsync(command.Replace("VOLUME", both.Server.Volumes[0].ToString(), StringComparison.Ordinal))).Fails(why);

    [Fact]
    public async Task Volume_list_in_parts_and_of_all_projects()
    {
        var all = (await Demo.RunAsync("volume list -f json")).Succeeds().Column("ID");
        var first = Assert.Single((await Demo.RunAsync("volume list --limit 1 -f json")).Succeeds().Column("ID"));
        Assert.Equal(all[0], first);
        Assert.DoesNotContain(first, (await Demo.RunAsync($"volume list --marker {first} -f json")).Succeeds().Column("ID"));
        Assert.DoesNotContain(first, (await both.Admin.RunAsync("volume list -f json")).Succeeds().Column("ID"));
        Assert.Contains(first, (await both.Admin.RunAsync("volume list --all-projects -f json")).Succeeds().Column("ID"));
        Assert.Contains(first, (await both.Admin.RunAsync("volume list --project demo -f json")).Succeeds().Column("ID"));
        Assert.DoesNotContain(first, (await both.Admin.RunAsync("volume list --project other -f json")).Succeeds().Column("ID"));
    }

    private static string? Property(Said volume, string name) => volume.Json.GetProperty("properties").TryGetProperty(name, out var value) ? value.GetString() : null;

    /// <summary>A volume of the demo project that belongs to no server.</summary>
    private async Task<string> VolumeAsync()
    {
        var volume = new Volume
        {
            Id = VolumeId.New(), ProjectId = Tokens.TenantProject, UserId = Tokens.TenantUser, Name = "spare", Status = VolumeStatus.Available, SizeGib = 1,
            Backend = (await new VolumeStore(both.Stack.Database).FindAsync(both.Server.Volumes[0], Ct))!.Backend,
        };
        await new InventoryStore(both.Stack.Database).RegisterAsync(new([], [(new VolumeRegistration(volume, new Dictionary<string, string>()), false)], [], []), TimeProvider.System.GetUtcNow(), Ct);
        return volume.Id.ToString();
    }
}
