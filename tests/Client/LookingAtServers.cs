using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.Client;

/// <summary><c>server list</c>, <c>show</c>, <c>volume list</c>, <c>event list</c> and <c>show</c>, <c>limits show</c>, <c>quota show</c> and <c>set</c>.</summary>
public sealed class LookingAtServers(ClientAndStack both)
{
    private OpenStackClient Demo => both.Demo;

    private string Id => both.Server.Id.ToString();

    [Theory]
    [InlineData("")]
    [InlineData("--os-compute-api-version 2.47 ")]
    [InlineData("--os-compute-api-version 2.92 ")]
    public async Task Server_list(string version)
    {
        var servers = (await Demo.RunAsync($"{version}server list --name ^web$ --status ACTIVE -f json")).Succeeds();
        Assert.Equal(["web"], servers.Column("Name"));
        Assert.Equal(["ACTIVE"], servers.Column("Status"));
        Assert.Equal(["N/A (booted from volume)"], servers.Column("Image"));
    }

    [Fact]
    public async Task Server_list_long_tells_what_is_going_on()
    {
        var row = (await Demo.RunAsync("server list --long --name web -f json")).Succeeds().Json[0];
        Assert.Equal(("", "1"), (row.GetProperty("Task State").ToString(), row.GetProperty("Power State").ToString()));
    }

    [Fact]
    public async Task Server_list_with_a_limit_and_after_a_marker()
    {
        Assert.Single((await Demo.RunAsync("server list --limit 1 -f json")).Succeeds().Json.EnumerateArray());
        Assert.DoesNotContain("web", (await Demo.RunAsync($"server list --marker {Id} --limit 100 -f json")).Succeeds().Column("Name"));
    }

    [Fact]
    public async Task Server_list_of_all_projects_is_for_administrators()
    {
        Assert.Contains("web", (await both.Admin.RunAsync("server list --all-projects -f json")).Succeeds().Column("Name"));
        Assert.DoesNotContain("web", (await both.Admin.RunAsync("server list -f json")).Succeeds().Column("Name"));
    }

    [Fact]
    public async Task Server_list_by_a_name_or_a_status_that_none_has()
    {
        Assert.Empty((await Demo.RunAsync("server list --name nowhere -f json")).Succeeds().Json.EnumerateArray());
        Assert.Empty((await Demo.RunAsync("server list --status BUILD -f json")).Succeeds().Json.EnumerateArray());
        (await Demo.RunAsync("server list --name [")).Fails("It is not a regular expression", "HTTP 400");
    }

    [Fact]
    public async Task Server_show_by_name_and_by_id()
    {
        foreach (var server in new[] { "web", Id })
        {
            var shown = (await Demo.RunAsync($"server show {server} -f json")).Succeeds();
            Assert.Equal(Id, shown["id"]);
            Assert.Equal("ACTIVE", shown["status"]);
            Assert.Equal(Tokens.TenantProject, shown["project_id"]);
            Assert.Equal(3, shown.Json.GetProperty("volumes_attached").GetArrayLength());
        }
    }

    [Fact]
    public async Task Server_show_of_one_that_there_is_not() => (await Demo.RunAsync("server show nowhere")).Fails("No server with a name or ID of 'nowhere' exists.");

    [Fact]
    public async Task Server_show_of_one_of_others_is_the_same_as_of_none() =>
        (await Demo.RunAsync($"server show {Id}", ("OS_USERNAME", "other"), ("OS_PASSWORD", both.Stack.Accounts.Other.Password), ("OS_PROJECT_NAME", "other")))
            .Fails($"No server with a name or ID of '{Id}' exists.");

    [Fact]
    public async Task Server_volume_list()
    {
        var volumes = (await Demo.RunAsync("server volume list web -f json")).Succeeds();
        Assert.Equal(both.Server.Volumes.Select(v => v.ToString()), volumes.Column("Volume ID"));
        Assert.Equal(["/dev/vda", "/dev/vdb", "/dev/vdc"], volumes.Column("Device"));
    }

    [Fact]
    public async Task Server_event_list_and_show()
    {
        await both.MakeImageAsync("--name for-events web");
        var events = (await Demo.RunAsync("server event list web --long -f json")).Succeeds();
        Assert.Equal("createImage", events.Column("Action")[0]);
        Assert.Equal(Id, events.Column("Server ID")[0]);
        Assert.Equal(Tokens.TenantProject, events.Column("Project ID")[0]);
        var request = events.Column("Request ID")[0];

        // Who owns the server sees the events of an action from 2.51 on; an administrator always.
        var action = (await Demo.RunAsync($"--os-compute-api-version 2.51 server event show web {request} -f json")).Succeeds();
        Assert.Equal("createImage", action["action"]);
        Assert.Equal("api_snapshot_instance", action.Json.GetProperty("events")[0].GetProperty("event").GetString());
        Assert.Equal("Success", action.Json.GetProperty("events")[0].GetProperty("result").GetString());
        Assert.False((await Demo.RunAsync($"server event show web {request} -f json")).Succeeds().Json.TryGetProperty("events", out _));
        Assert.True((await both.Admin.RunAsync($"server event show {Id} {request} -f json")).Succeeds().Json.TryGetProperty("events", out _));
    }

    [Fact]
    public async Task Server_event_list_in_pages()
    {
        var all = (await Demo.RunAsync("--os-compute-api-version 2.58 server event list web -f json")).Succeeds().Column("Request ID");
        if (all.Count == 0)
        {
            await both.MakeImageAsync("--name for-pages web");
            all = (await Demo.RunAsync("--os-compute-api-version 2.58 server event list web -f json")).Succeeds().Column("Request ID");
        }

        Assert.Equal([all[0]], (await Demo.RunAsync("--os-compute-api-version 2.58 server event list web --limit 1 -f json")).Succeeds().Column("Request ID"));
        Assert.Equal(all.Skip(1), (await Demo.RunAsync($"--os-compute-api-version 2.58 server event list web --marker {all[0]} -f json")).Succeeds().Column("Request ID"));
        Assert.Empty((await Demo.RunAsync("--os-compute-api-version 2.66 server event list web --changes-before 2001-01-01T00:00:00Z -f json")).Succeeds().Json.EnumerateArray());
    }

    [Fact]
    public async Task Server_event_show_of_one_that_there_is_not() => (await Demo.RunAsync("server event show web req-none")).Fails("Action req-none not found (HTTP 404)");

    [Fact]
    public async Task Limits_show()
    {
        var limits = (await Demo.RunAsync("limits show --absolute -f json")).Succeeds();
        var values = limits.Column("Name").Zip(limits.Column("Value")).ToDictionary(p => p.First!, p => p.Second);
        Assert.True(int.Parse(values["totalInstancesUsed"]!, System.Globalization.CultureInfo.InvariantCulture) >= 1);
        Assert.Equal("500", values["maxTotalSnapshots"]);
        Assert.Equal("1000", values["maxTotalVolumeGigabytes"]);
        Assert.True(int.Parse(values["totalVolumesUsed"]!, System.Globalization.CultureInfo.InvariantCulture) >= 3);
        Assert.Empty((await Demo.RunAsync("limits show --rate -f json")).Succeeds().Json.EnumerateArray());
    }

    [Fact]
    public async Task Limits_show_of_another_project_is_for_administrators()
    {
        (await Demo.RunAsync($"limits show --absolute --project {Tokens.OtherProject}")).Fails("Policy doesn't allow identity:list_projects to be performed.", "HTTP 403");
        (await both.Admin.RunAsync("limits show --absolute --project demo -f json")).Succeeds();
    }

    [Fact]
    public async Task Quota_show_own_and_default()
    {
        var own = (await Demo.RunAsync("quota show -f json")).Succeeds();
        Assert.Equal("500", own["snapshots"]);
        Assert.Equal("demo", own["project_name"]);
        Assert.Equal("10", (await Demo.RunAsync("quota show --default -f json")).Succeeds()["snapshots"]);
    }

    [Fact]
    public async Task Quota_set_by_an_administrator_is_in_force()
    {
        (await both.Admin.RunAsync("quota set --snapshots 7 --gigabytes 70 --volumes -1 other")).Succeeds();
        var quota = (await both.Admin.RunAsync("quota show other -f json")).Succeeds();
        Assert.Equal(("7", "70", "-1"), (quota["snapshots"], quota["gigabytes"], quota["volumes"]));
    }

    [Fact]
    public async Task Quota_set_of_a_volume_type()
    {
        await new Store.InventoryStore(both.Stack.Database).RegisterAsync(new([new VolumeType { Id = Guid.NewGuid(), Name = "fast" }], [], [], []), TimeProvider.System.GetUtcNow(), TestContext.Current.CancellationToken);
        (await both.Admin.RunAsync("quota set --snapshots 3 --volume-type fast other")).Succeeds();
        Assert.Equal("3", (await both.Admin.RunAsync("quota show other -f json")).Succeeds()["snapshots_fast"]);
        Assert.Contains("fast", (await Demo.RunAsync("volume type list -f json")).Succeeds().Column("Name"));
        Assert.Equal("fast", (await Demo.RunAsync("volume type show fast -f json")).Succeeds()["name"]);
    }

    [Theory]
    [InlineData("quota set --snapshots 1 " + Tokens.TenantProject, "Policy doesn't allow volume_extension:quotas:update to be performed.")]
    [InlineData("quota set --snapshots 1 nowhere", "Policy doesn't allow identity:list_projects to be performed.")]
    public async Task Quota_set_by_who_may_not(string command, string why) => (await Demo.RunAsync(command)).Fails(why);

    [Theory]
    [InlineData("quota set --snapshots -2 other", "-2 is less than the minimum of -1")]
    [InlineData("quota set --backups 2 other", "Bad key(s) in quota set: backups")]
    [InlineData("quota set --volumes 1 demo", " already in use")]
    [InlineData("quota set --instances 4 other", "servers are registered here and not limited")]
    public async Task Quota_set_to_what_cannot_be(string command, string why) => (await both.Admin.RunAsync(command)).Fails(why, "HTTP 400");
}
