using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Client;

/// <summary><c>volume list</c> and <c>show</c>, <c>volume snapshot create</c>, <c>set</c>, <c>unset</c>, <c>delete</c>, <c>volume create --snapshot</c>, <c>volume delete</c>.</summary>
public sealed class WorkingWithVolumes(ClientAndStack both)
{
    private OpenStackClient Demo => both.Demo;

    private string Root => both.Server.Volumes[0].ToString();

    [Fact]
    public async Task Volume_list_and_show()
    {
        var volumes = (await Demo.RunAsync("volume list --long -f json")).Succeeds();
        Assert.Subset(volumes.Column("ID").ToHashSet(), both.Server.Volumes.Select(v => (string?)v.ToString()).ToHashSet());
        var root = (await Demo.RunAsync($"volume show {Root} -f json")).Succeeds();
        Assert.Equal("in-use", root["status"]);
        Assert.Equal("web-vda", root["name"]);
        Assert.Equal("1", root["size"]);
        Assert.Equal(both.Server.Id.ToString(), root.Json.GetProperty("attachments")[0].GetProperty("server_id").GetString());
        Assert.Equal(Root, (await Demo.RunAsync("volume show web-vda -f json")).Succeeds()["id"]);
        Assert.Equal([Root], (await Demo.RunAsync("volume list --name web-vda -f json")).Succeeds().Column("ID"));
        Assert.DoesNotContain(Root, (await Demo.RunAsync("volume list --status available -f json")).Succeeds().Column("ID"));
    }

    [Fact]
    public async Task Volume_snapshot_create_show_and_delete()
    {
        var name = $"single-{Guid.NewGuid():N}";
        var made = (await Demo.RunAsync($"volume snapshot create --volume {Root} --force --description \"by hand\" --property purpose=test {name} -f json")).Succeeds();
        Assert.Equal(name, made["name"]);
        Assert.Equal(Root, made["volume_id"]);
        var id = made["id"]!;
        var shown = await WaitAsync($"volume snapshot show {id} -f json", s => s["status"] is not "creating");
        Assert.Equal("available", shown["status"]);
        Assert.Equal("by hand", shown["description"]);
        Assert.Equal("test", shown.Json.GetProperty("properties").GetProperty("purpose").GetString());
        Assert.Equal([id], (await Demo.RunAsync($"volume snapshot list --name {name} -f json")).Succeeds().Column("ID"));

        (await Demo.RunAsync($"volume snapshot delete {name}")).Succeeds();
        await GoneAsync($"volume snapshot show {id}");
    }

    [Fact]
    public async Task Volume_snapshot_of_a_volume_in_use_wants_force() =>
        (await Demo.RunAsync($"volume snapshot create --volume {Root} never")).Fails("HTTP 400");

    [Fact]
    public async Task Volume_create_from_a_snapshot_and_delete()
    {
        var snapshot = await SnapshotAsync();
        var name = $"copy-{Guid.NewGuid():N}";
        var made = (await Demo.RunAsync($"volume create --snapshot {snapshot} {name} -f json")).Succeeds();
        Assert.Equal(snapshot, made["snapshot_id"]);
        var volume = await WaitAsync($"volume show {made["id"]} -f json", v => v["status"] is not "creating");
        Assert.Equal(("available", "1"), (volume["status"], volume["size"]));
        (await Demo.RunAsync($"volume delete {name}")).Succeeds();
        await GoneAsync($"volume show {made["id"]}");
        (await Demo.RunAsync($"volume snapshot delete {snapshot}")).Succeeds();
    }

    [Fact]
    public async Task Image_delete_takes_its_snapshots_along()
    {
        var name = $"doomed-{Guid.NewGuid():N}";
        await both.MakeImageAsync($"--name {name} web");
        (await Demo.RunAsync($"image delete {name}")).Succeeds();
        (await Demo.RunAsync($"image show {name}")).Fails($"No Image found for {name}");
        await WaitAsync($"volume snapshot list --name \"snapshot for {name}\" -f json", s => s.Json.GetArrayLength() == 0);
    }

    [Theory]
    [InlineData("volume show nowhere", "No volume with a name or ID of 'nowhere' exists.")]
    [InlineData("volume delete nowhere", "No volume with a name or ID of 'nowhere' exists.")]
    [InlineData("volume snapshot create --volume nowhere x", "No volume with a name or ID of 'nowhere' exists.")]
    [InlineData("volume snapshot delete nowhere", "No snapshot with a name or ID of 'nowhere' exists.")]
    [InlineData("volume create --snapshot nowhere x", "No snapshot with a name or ID of 'nowhere' exists.")]
    [InlineData("image delete nowhere", "No Image found for nowhere")]
    public async Task What_there_is_not(string command, string why) => (await Demo.RunAsync(command)).Fails(why);

    [Fact]
    public async Task A_volume_of_a_server_cannot_be_deleted() => (await Demo.RunAsync($"volume delete {Root}")).Fails("HTTP 400");

    [Fact]
    public async Task Over_quota_is_413()
    {
        (await both.Admin.RunAsync("quota set --snapshots 0 other")).Succeeds();
        await using var server = await GuestServer.StartAsync(both.Stack, new() { Name = "small", Project = Tokens.OtherProject, WithGuest = false, State = VmState.Stopped }, TestContext.Current.CancellationToken);
        (await Demo.RunAsync($"volume snapshot create --force --volume {server.Volumes[0]} never", ("OS_USERNAME", "other"), ("OS_PASSWORD", both.Stack.Accounts.Other.Password), ("OS_PROJECT_NAME", "other")))
            .Fails("SnapshotLimitExceeded: Maximum number of snapshots allowed (0) exceeded", "HTTP 413");
    }

    private async Task<string> SnapshotAsync()
    {
        var id = (await Demo.RunAsync($"volume snapshot create --volume {Root} --force for-a-volume-{Guid.NewGuid():N} -f value -c id")).Succeeds().Out.Trim();
        Assert.Equal("available", (await WaitAsync($"volume snapshot show {id} -f json", s => s["status"] is not "creating"))["status"]);
        return id;
    }

    /// <summary>Asks until the answer is the one, as a user would.</summary>
    private async Task<Said> WaitAsync(string command, Func<Said, bool> until)
    {
        Said? said = null;
        await Wait.UntilAsync(command, TimeSpan.FromMinutes(1), async _ => until(said = (await Demo.RunAsync(command)).Succeeds()), TestContext.Current.CancellationToken);
        return said!;
    }

    private Task GoneAsync(string command) => Wait.UntilAsync($"{command} to find nothing", TimeSpan.FromMinutes(1), async _ => (await Demo.RunAsync(command)).Code != 0, TestContext.Current.CancellationToken);
}
