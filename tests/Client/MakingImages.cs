using SnapshotFlow.Model;
using SnapshotFlow.Stack;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Client;

/// <summary><c>server image create</c>, and the image commands on what it made.</summary>
public sealed class MakingImages(ClientAndStack both)
{
    private OpenStackClient Demo => both.Demo;

    [Theory]
    [InlineData("")]
    [InlineData("--os-compute-api-version 2.45 ")]
    public async Task Server_image_create_and_wait(string version)
    {
        var name = $"image-{Guid.NewGuid():N}";
        var image = (await Demo.RunAsync($"{version}server image create --wait --name {name} web -f json")).Succeeds();
        Assert.Equal(name, image["name"]);
        Assert.Equal("active", image["status"]);
        Assert.Equal("private", image["visibility"]);
        Assert.Equal(Tokens.TenantProject, image["owner"]);
        var properties = image.Json.GetProperty("properties");
        Assert.Equal("True", properties.GetProperty("bdm_v2").GetString());
        Assert.Equal("/dev/vda", properties.GetProperty("root_device_name").GetString());
        Assert.Contains("\"source_type\"", properties.GetProperty("block_device_mapping").GetString()!.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_image_create_without_a_name_takes_the_servers()
    {
        var image = await both.MakeImageAsync("web");
        Assert.Equal("web", image["name"]);
    }

    [Fact]
    public async Task Server_image_create_with_properties()
    {
        var image = await both.MakeImageAsync($"--name with-{Guid.NewGuid():N} --property purpose=backup --property \"note=a b c\" web");
        var properties = image.Json.GetProperty("properties");
        Assert.Equal(("backup", "a b c"), (properties.GetProperty("purpose").GetString(), properties.GetProperty("note").GetString()));
    }

    [Fact]
    public async Task Image_list_show_and_filter()
    {
        var name = $"listed-{Guid.NewGuid():N}";
        var id = (await both.MakeImageAsync($"--name {name} --property shelf={name} web"))["id"];
        Assert.Contains(name, (await Demo.RunAsync("image list -f json")).Succeeds().Column("Name"));
        Assert.Equal([id], (await Demo.RunAsync($"image list --name {name} -f json")).Succeeds().Column("ID"));
        Assert.Equal([id], (await Demo.RunAsync($"image list --property shelf={name} --private -f json")).Succeeds().Column("ID"));
        Assert.Equal(["active"], (await Demo.RunAsync($"image list --name {name} --status active --long -f json")).Succeeds().Column("Status"));
        Assert.Equal(id, (await Demo.RunAsync($"image show {name} -f json")).Succeeds()["id"]);
        Assert.Equal(name, (await Demo.RunAsync($"image show {id} -f json")).Succeeds()["name"]);
        Assert.Single((await Demo.RunAsync("image list --limit 1 -f json")).Succeeds().Json.EnumerateArray());
        (await Demo.RunAsync($"image show {id}", ("OS_USERNAME", "other"), ("OS_PASSWORD", both.Stack.Accounts.Other.Password), ("OS_PROJECT_NAME", "other")))
            .Fails($"No Image found for {id}");
    }

    [Fact]
    public async Task The_snapshots_of_an_image_are_listed_and_shown()
    {
        var name = $"cut-{Guid.NewGuid():N}";
        await both.MakeImageAsync($"--name {name} web");
        var snapshots = (await Demo.RunAsync($"volume snapshot list --name \"snapshot for {name}\" --long -f json")).Succeeds();
        Assert.Equal(3, snapshots.Json.GetArrayLength());
        Assert.All(snapshots.Column("Status"), s => Assert.Equal("available", s));
        var shown = (await Demo.RunAsync($"volume snapshot show {snapshots.Column("ID")[0]} -f json")).Succeeds();
        Assert.Equal("100%", shown["os-extended-snapshot-attributes:progress"]);
        Assert.Contains(shown["volume_id"], both.Server.Volumes.Select(v => v.ToString()));
        Assert.Single((await Demo.RunAsync($"volume snapshot list --volume {both.Server.Volumes[0]} --name \"snapshot for {name}\" -f json")).Succeeds().Json.EnumerateArray());
    }

    [Theory]
    [InlineData("server image create nowhere", "No Server found for nowhere")]
    [InlineData("server image create --name \" blank \" web", "An invalid 'name' value was provided.")]
    [InlineData("server image create --property owner=me --name a web", "Attribute 'owner' is reserved")]
    [InlineData("server image create --property a=b", "the following arguments are required: <server>")]
    [InlineData("server stop web", "There is no such action: os-stop. createImage is all that is done to servers here")]
    [InlineData("image create --file /etc/hostname mine", "images are not uploaded here but made of servers, by their action createImage")]
    [InlineData("image show nowhere", "No Image found for nowhere")]
    [InlineData("volume snapshot show nowhere", "No snapshot with a name or ID of 'nowhere' exists.")]
    public async Task What_the_user_reads_when_it_goes_wrong(string command, string why) => (await Demo.RunAsync(command)).Fails(why);

    [Fact]
    public async Task A_server_in_the_wrong_state_is_409()
    {
        await using var server = await GuestServer.StartAsync(both.Stack, new() { Name = "rescued", State = VmState.Rescued, WithGuest = false }, TestContext.Current.CancellationToken);
        (await Demo.RunAsync($"server image create --name never {server.Id}")).Fails("409", $"Cannot 'createImage' instance {server.Id} while it is in vm_state rescued");
    }

    [Fact]
    public async Task A_server_whose_root_is_no_volume_is_409()
    {
        var server = new Server
        {
            Id = ServerId.New(), ProjectId = Tokens.TenantProject, UserId = Tokens.TenantUser, Name = "local", VmState = VmState.Stopped, ImageRef = Guid.NewGuid().ToString(),
            LaunchedAt = TimeProvider.System.GetUtcNow(),
        };
        await new ServerStore(both.Stack.Database).RegisterAsync(
            new(server, [new BlockDevice { SourceType = "image", DestinationType = "local", BootIndex = 0 }], []), TimeProvider.System.GetUtcNow(), TestContext.Current.CancellationToken);
        (await Demo.RunAsync($"server image create --name never {server.Id}")).Fails("409", "its root disk is not a volume, and only volume-backed servers are supported.");
    }

    [Fact]
    public async Task Over_quota_is_403()
    {
        (await both.Admin.RunAsync("quota set --snapshots 2 other")).Succeeds();
        await using var server = await GuestServer.StartAsync(both.Stack, new() { Name = "theirs", Project = Tokens.OtherProject, WithGuest = false, State = VmState.Stopped }, TestContext.Current.CancellationToken);
        (await Demo.RunAsync($"server image create --name never {server.Id}", ("OS_USERNAME", "other"), ("OS_PASSWORD", both.Stack.Accounts.Other.Password), ("OS_PROJECT_NAME", "other")))
            .Fails("403", "Quota exceeded for resources: snapshots");
    }
}
