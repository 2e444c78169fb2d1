using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>Registering what this product does not make itself.</summary>
public sealed class Administering(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private readonly ApiUnderTest api = alone.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string Project => api.Tokens.Project;

    [Fact]
    public async Task What_is_registered_is_there_and_registering_it_again_changes_nothing()
    {
        var (volume, server) = (Guid.NewGuid(), Guid.NewGuid());
        var type = $"type-{Guid.NewGuid():N}";
        for (var i = 0; i < 2; i++)
        {
            await OkAsync("/admin/volume-types", new { volume_type = new { name = type, description = "On flash", extra_specs = new { k = "v" } } });
            await OkAsync("/admin/volumes", new { volume = new { id = volume, project_id = Project, size = 7, backend = "node-1@file", volume_type = type, bootable = true, volume_image_metadata = new { image_name = "debian" } } });
            await OkAsync("/admin/servers", new
            {
                server = new
                {
                    id = server, project_id = Project, name = "web", host = "node-1", guest_agent_address = "qga:unix:/run/web.sock", system_metadata = new { image_os_distro = "debian" },
                    block_devices = new object[] { new { volume_id = volume, boot_index = 0, device_name = "/dev/vda" }, new { source_type = "blank", destination_type = "local", guest_format = "swap" } },
                },
            });
            await OkAsync("/admin/quotas", new { quota = new { project_id = $"{Project}-q", limits = new Dictionary<string, int> { ["snapshots"] = 3, [$"gigabytes_{type}"] = -1 } } });

            var known = await api.Service<VolumeStore>().FindAsync(VolumeId.From(volume), Ct);
            Assert.Equal((7, "available", type, true, "node-1@file"), (known!.SizeGib, known.Status, known.VolumeType, known.Bootable, known.Backend));
            var devices = await api.Service<ServerStore>().BlockDevicesAsync(ServerId.From(server), Ct);
            Assert.Equal([("volume", "volume"), ("blank", "local")], devices.Select(d => (d.SourceType, d.DestinationType)));
            Assert.Contains((await api.Service<QuotaStore>().LevelsAsync($"{Project}-q", TimeProvider.System.GetUtcNow(), Ct)), l => l is { Resource: "snapshots", Limit: 3 });
            Assert.Contains(await api.Service<InventoryStore>().VolumeTypesAsync(all: true, Ct), t => t.Name == type && t.ExtraSpecs["k"] == "v");
        }

        Assert.Equal("web", (await api.GetAsync($"/compute/v2.1/servers/{server}", api.Tokens.Member)).Json.GetProperty("server").GetProperty("name").GetString());
    }

    [Fact]
    public async Task A_server_group_is_shown_to_whoever_sees_hypervisors_and_goes_when_it_is_not_given_again()
    {
        var server = Guid.NewGuid();
        async Task<string?> ShownToAsync(string token) =>
            (await api.GetAsync($"/compute/v2.1/servers/{server}", token)).Json.GetProperty("server").TryGetProperty("snapshotflow:server_group", out var group) ? group.GetString() : null;
        Task RegisterAsync(string? group) => OkAsync("/admin/servers", new { server = new { id = server, project_id = Project, name = "web", host = "node-1", server_group = group, block_devices = Array.Empty<object>() } });

        await RegisterAsync("Веб, tier 1 (été)");
        Assert.Equal("Веб, tier 1 (été)", await ShownToAsync(api.Tokens.Admin));
        Assert.Null(await ShownToAsync(api.Tokens.Member));

        await RegisterAsync(null);
        Assert.Null(await ShownToAsync(api.Tokens.Admin));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" web")]
    [InlineData("web ")]
    [InlineData("a\tb")]
    [InlineData("a\u200bb")]
    [InlineData("a\u2028b")]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345")]
    public async Task A_server_group_that_no_label_can_show_is_refused_with_its_place(string group)
    {
        var body = new { server = new { id = Guid.NewGuid(), project_id = Project, name = "web", host = "node-1", server_group = group, block_devices = Array.Empty<object>() } };
        var answer = await PostAsync("/admin/servers", body);
        answer.IsFault(400, "badRequest", $"Invalid input for field/attribute servers[0].server_group. Value: {group}. A server group has a name of 1 to 64 printable characters, with no blank at either end");
    }

    [Fact]
    public async Task A_volume_keeps_the_status_that_is_recorded_unless_another_is_given()
    {
        var volume = Guid.NewGuid();
        async Task<string> StatusAsync(object given)
        {
            await OkAsync("/admin/volumes", new { volume = given });
            return (await api.Service<VolumeStore>().FindAsync(VolumeId.From(volume), Ct))!.Status;
        }

        Assert.Equal("in-use", await StatusAsync(new { id = volume, project_id = Project, size = 1, backend = "n@b", status = "in-use" }));
        Assert.Equal("in-use", await StatusAsync(new { id = volume, project_id = Project, size = 2, backend = "n@b" }));
        Assert.Equal("error", await StatusAsync(new { id = volume, project_id = Project, size = 2, backend = "n@b", status = "error" }));
    }

    [Fact]
    public async Task A_file_is_registered_whole_or_not_at_all()
    {
        var (good, server) = (Guid.NewGuid(), Guid.NewGuid());
        var answer = await PostAsync("/admin/inventory", new
        {
            volumes = new[] { new { id = good, project_id = Project, size = 1, backend = "n@b" } },
            servers = new[] { new { id = server, project_id = Project, name = "s", host = "n", block_devices = new[] { new { volume_id = Guid.Parse("11111111-1111-1111-1111-111111111111") } } } },
        });
        answer.IsFault(400, "badRequest", "servers[0].block_devices[0].volume_id: There is no volume 11111111-1111-1111-1111-111111111111: register it first, or in the same file.");
        Assert.Null(await api.Service<VolumeStore>().FindAsync(VolumeId.From(good), Ct));
    }

    [Fact]
    public async Task Nothing_moves_to_another_project()
    {
        var (volume, server) = (Guid.NewGuid(), Guid.NewGuid());
        await OkAsync("/admin/volumes", new { volume = new { id = volume, project_id = Project, size = 1, backend = "n@b" } });
        (await PostAsync("/admin/volumes", new { volume = new { id = volume, project_id = "elsewhere", size = 1, backend = "n@b" } }))
            .IsFault(400, "badRequest", $"volumes[0]: Volume {volume} is registered for another project, and a volume cannot change its project.");
        (await PostAsync("/admin/servers", new { server = new { id = server, project_id = "elsewhere", name = "s", host = "n", block_devices = new[] { new { volume_id = volume } } } }))
            .IsFault(400, "badRequest", $"servers[0].block_devices[0].volume_id: Volume {volume} is of project {Project}, instance {server} of project elsewhere: they must be the same.");
        Assert.Null(await api.Service<ServerStore>().FindAsync(ServerId.From(server), Ct));
    }

    [Theory]
    [InlineData("volumes", """{}""", "The body must be an object with the one member 'volume'")]
    [InlineData("volumes", """{"volume": 7}""", "Invalid input for field/attribute volumes[0]. Value: 7. 7 is not of type 'object'")]
    [InlineData("volumes", """{"volume": {"id": "x", "project_id": "p", "size": 1, "backend": "n@b"}}""", "Invalid input for field/attribute volumes[0].id. Value: x. It is not a 'uuid'")]
    [InlineData("volumes", """{"volume": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "p", "size": 0, "backend": "n@b"}}""", "Invalid input for field/attribute volumes[0].size. Value: 0. 0 is less than the minimum of 1")]
    [InlineData("volumes", """{"volume": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "p", "size": "1", "backend": "n@b"}}""", "Invalid input for field/attribute volumes[0].size. Value: 1. It must be an integer from 1 to 2147483647")]
    [InlineData("volumes", """{"volume": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "a b", "size": 1, "backend": "n@b"}}""", "Invalid input for field/attribute volumes[0].project_id. Value: a b. An id has 1 to 64 letters, digits, - and _")]
    [InlineData("volumes", """{"volume": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "p", "size": 1, "backend": "nowhere"}}""", "Invalid input for field/attribute volumes[0].backend. Value: nowhere. It must be host@backend, as the volume worker is called")]
    [InlineData("volumes", """{"volume": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "p", "size": 1, "backend": "n@b", "volume_type": "none"}}""", "volumes[0].volume_type: There is no volume type 'none': register it first, or in the same file.")]
    [InlineData("servers", """{"server": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "p", "name": "s", "host": "n", "block_devices": [{"boot_index": 0}]}}""", "Invalid input for field/attribute servers[0].block_devices[0]. Value: {'boot_index': 0}. 'volume_id' is a required property of a device that is a volume")]
    [InlineData("servers", """{"server": {"id": "6a1d7f0c-3b52-4e8f-9c1d-2f6b8a4e7d90", "project_id": "p", "name": "s", "host": "n", "vm_state": "on", "block_devices": []}}""", null)]
    [InlineData("quotas", """{"quota": {"project_id": "p", "limits": {"floppies": 1}}}""", "Invalid input for field/attribute quotas[0].limits.floppies. Value: 1. Limits are of snapshots, volumes and gigabytes, of each per volume type, for example snapshots_fast, and per_volume_gigabytes")]
    [InlineData("quotas", """{"quota": {"project_id": "p", "limits": {"snapshots": -2}}}""", "Invalid input for field/attribute quotas[0].limits.snapshots. Value: -2. -2 is less than the minimum of -1")]
    [InlineData("inventory", """{"flavors": []}""", "Invalid input for field/attribute inventory. Value: {'flavors': []}. Additional properties are not allowed ('flavors' was unexpected)")]
    [InlineData("inventory", """{"volumes": {}}""", "Invalid input for field/attribute volumes. Value: {}. {} is not of type 'array'")]
    public async Task What_is_wrong_is_said_with_its_place(string path, string body, string? message)
    {
        var answer = await api.PostTextAsync($"/admin/{path}", api.Tokens.Admin, body, "application/json");
        answer.IsFault(400, "badRequest");
        if (message is not null)
        {
            answer.IsFault(400, "badRequest", message);
        }
    }

    [Fact]
    public async Task Only_administrators_register()
    {
        foreach (var path in new[] { "servers", "volumes", "volume-types", "quotas", "inventory" })
        {
            (await api.PostAsync($"/admin/{path}", null, new { })).IsFault(401, "unauthorized");
            (await api.PostAsync($"/admin/{path}", api.Tokens.Member, new { })).IsFault(403, "forbidden");
            Assert.Contains("Policy doesn't allow snapshotflow:admin:", (await api.PostAsync($"/admin/{path}", api.Tokens.Reader, new { })).Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_inventory_may_be_larger_than_other_requests()
    {
        var volumes = Enumerable.Range(0, 600).Select(_ => new { id = Guid.NewGuid(), project_id = $"{Project}-large", size = 1, backend = "node-1@file", description = new string('d', 100) });
        var answer = await PostAsync("/admin/inventory", new { volumes });
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal(600, answer.Json.GetProperty("volumes").GetInt32());
    }

    private async Task OkAsync(string path, object body)
    {
        var answer = await PostAsync(path, body);
        Assert.True(answer.Status is HttpStatusCode.OK, answer.Text);
    }

    private Task<Answer> PostAsync(string path, object body) => api.PostAsync(path, api.Tokens.Admin, body);
}
