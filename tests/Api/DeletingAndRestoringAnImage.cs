using System.Net;
using System.Text.Json;
using SnapshotFlow.Model;
using SnapshotFlow.Store;
using SnapshotFlow.Tests.Store;
using SnapshotFlow.Workflows;
using Temporalio.Client;

namespace SnapshotFlow.Tests.Api;

/// <summary>What is done to an image after it was made, from the request to the records, with everything behind the api.</summary>
public sealed class DeletingAndRestoringAnImage(Cloud cloud) : IClassFixture<Cloud>, IDisposable
{
    private readonly ApiUnderTest api = cloud.Api;
    private readonly FakeHosts hosts = cloud.Hosts;

    public void Dispose()
    {
        hosts.Hold?.TrySetResult();
        (hosts.Hold, hosts.Broken) = (null, null);
    }

    [Fact]
    public async Task An_image_takes_its_snapshots_with_it_and_is_not_found_from_then_on()
    {
        var image = await ImageAsync();
        var snapshots = await SnapshotsAsync(image);
        Assert.Equal(2, snapshots.Count);

        var answer = await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member);
        Assert.Equal((HttpStatusCode.NoContent, ""), (answer.Status, answer.Text));
        (await api.GetAsync($"/image/v2/images/{image}", api.Tokens.Member)).IsImageFault(404, "Not Found", $"No image found with ID {image}");
        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member)).IsImageFault(404, "Not Found", $"Failed to find image {image} to delete");

        var operation = await EndedAsync(answer.Header("X-SnapshotFlow-Operation")!);
        Assert.Equal(("delete_image", "completed", 0), (
            operation.GetProperty("kind").GetString(), operation.GetProperty("status").GetString(), operation.GetProperty("leftovers").GetArrayLength()));
        Assert.Empty(await SnapshotsAsync(image));
        Assert.All(snapshots, s => Assert.False(hosts.Snapshots.ContainsKey(s)));
        Assert.Equal(
            image.ToString(), Assert.Single((await api.GetAsync($"/operations?image_id={image}", api.Tokens.Reader)).Json.GetProperty("operations").EnumerateArray()).GetProperty("image_id").GetString());
        (await api.GetAsync($"/operations/{operation.GetProperty("id").GetString()}", api.Tokens.OtherMember)).IsFault(404, "itemNotFound");
        (await api.PostAsync($"/operations/{operation.GetProperty("id").GetString()}/cancel", api.Tokens.Member, new { })).IsFault(409, "conflictingRequest");
    }

    [Fact]
    public async Task Snapshots_stay_when_they_are_to_be_kept_and_are_ordinary_ones_afterwards()
    {
        var image = await ImageAsync();
        var snapshots = await SnapshotsAsync(image);
        (await api.DeleteAsync($"/volume/v3/{api.Tokens.Project}/snapshots/{snapshots[0]}", api.Tokens.Member)).IsFault(
            409, "conflictingRequest", $"Invalid snapshot: Snapshot {snapshots[0]} is part of image {image}: delete the image, and its snapshots go with it.");

        Assert.Equal(HttpStatusCode.NoContent, (await api.DeleteAsync($"/image/v2/images/{image}?keep_snapshots=true", api.Tokens.Member)).Status);

        Assert.Equal(2, (await SnapshotsAsync(image)).Count);
        Assert.Equal(HttpStatusCode.Accepted, (await api.DeleteAsync($"/volume/v3/{api.Tokens.Project}/snapshots/{snapshots[0]}", api.Tokens.Member)).Status);
    }

    [Fact]
    public async Task What_may_not_be_deleted_says_why()
    {
        var image = await ImageAsync();
        (await api.DeleteAsync("/image/v2/images/no-uuid", api.Tokens.Member)).IsImageFault(404, "Not Found", "Failed to find image no-uuid to delete");
        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.OtherMember)).IsImageFault(404, "Not Found", $"Failed to find image {image} to delete");
        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Reader)).IsImageFault(403, "Forbidden", "Policy doesn't allow delete_image to be performed.");
        Assert.Equal(400, (int)(await api.DeleteAsync($"/image/v2/images/{image}?keep_snapshots=perhaps", api.Tokens.Member)).Status);
        Assert.Equal(HttpStatusCode.OK, (await api.GetAsync($"/image/v2/images/{image}", api.Tokens.Member)).Status);
    }

    [Fact]
    public async Task Deleting_an_image_that_is_being_made_takes_it_back()
    {
        var server = await api.RegisterServerAsync();
        hosts.Hold = new();
        var image = await AcceptedAsync(server);
        var deleting = api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member);

        Assert.Equal(HttpStatusCode.NoContent, (await deleting).Status);
        (await api.GetAsync($"/image/v2/images/{image}", api.Tokens.Member)).IsImageFault(404, "Not Found", $"No image found with ID {image}");
        Assert.Empty(await SnapshotsAsync(image));
    }

    [Fact]
    public async Task What_cannot_be_deleted_is_reported_and_the_image_is_gone_all_the_same()
    {
        var image = await ImageAsync();
        var snapshots = await SnapshotsAsync(image);
        hosts.Broken = ErrorKind.BackendRefused;

        var answer = await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member);
        var operation = await EndedAsync(answer.Header("X-SnapshotFlow-Operation")!);

        Assert.Equal("compensation_failed", operation.GetProperty("status").GetString());
        Assert.Equal(
            snapshots.Select(s => $"snapshot-{s}").ToHashSet(), operation.GetProperty("leftovers").EnumerateArray().Select(l => l.GetProperty("subject").GetString()!).ToHashSet());
        var row = (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/snapshots/{snapshots[0]}", api.Tokens.Member)).Json.GetProperty("snapshot");
        Assert.Equal("error_deleting", row.GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_deletion_whose_run_was_terminated_is_the_same_operation_when_it_is_asked_for_again()
    {
        var image = await ImageAsync();
        hosts.Broken = ErrorKind.BackendUnavailable;
        var first = await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member);
        Assert.Equal(HttpStatusCode.NoContent, first.Status);
        // While it goes on, nobody finds it.
        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Member)).IsImageFault(404, "Not Found", $"Failed to find image {image} to delete");
        await cloud.Client.GetWorkflowHandle(Names.DeleteImageWorkflow(image)).TerminateAsync("by hand");
        hosts.Broken = null;

        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.OtherMember)).IsImageFault(404, "Not Found", $"Failed to find image {image} to delete");
        (await api.DeleteAsync($"/image/v2/images/{image}", api.Tokens.Reader)).IsImageFault(403, "Forbidden", "Policy doesn't allow delete_image to be performed.");
        var again = await api.DeleteAsync($"/image/v2/images/{image}?keep_snapshots=true", api.Tokens.Member);

        Assert.Equal(HttpStatusCode.NoContent, again.Status);
        Assert.Equal(first.Header("X-SnapshotFlow-Operation"), again.Header("X-SnapshotFlow-Operation"));
        Assert.Equal("completed", (await EndedAsync(again.Header("X-SnapshotFlow-Operation")!)).GetProperty("status").GetString());
        // They were to go along, whatever is said now.
        Assert.Empty(await SnapshotsAsync(image));
    }

    [Fact]
    public async Task A_restore_whose_run_was_terminated_before_it_answered_is_heard_of_by_its_record_or_begins_anew()
    {
        var image = await ImageAsync();
        var (never, begun) = (await OverWithoutAnswerAsync(image, $"never-{image}"), await OverWithoutAnswerAsync(image, $"begun-{image}"));
        await api.Service<Database>().WriteAsync(
            s => api.Service<OperationStore>().OpenAsync(s, new()
            {
                Id = begun, Kind = OperationKind.RestoreImage, ImageId = image, ProjectId = api.Tokens.Project, UserId = "u", RequestId = "req-1", Status = RunStatus.Running, StartedAt = TimeProvider.System.GetUtcNow(),
            }),
            TestContext.Current.CancellationToken);
        Task<Answer> Ask(string key) => api.PostAsync($"/runs/{image}/restore", api.Tokens.Member, new { name = "copy" }, ("Idempotency-Key", key));

        var anew = await Ask($"never-{image}");
        Assert.Equal((HttpStatusCode.Accepted, never.ToString()), (anew.Status, anew.Json.GetProperty("operation_id").GetString()));
        Assert.Equal("completed", (await EndedAsync(never.ToString())).GetProperty("status").GetString());
        var heard = await Ask($"begun-{image}");
        Assert.Equal((HttpStatusCode.Accepted, begun.ToString()), (heard.Status, heard.Json.GetProperty("operation_id").GetString()));
        Assert.Equal("running", (await api.GetAsync($"/operations/{begun}", api.Tokens.Reader)).Json.GetProperty("status").GetString());
    }

    /// <summary>A restore whose run nobody has served and somebody has terminated.</summary>
    private async Task<OperationId> OverWithoutAnswerAsync(ImageId image, string key)
    {
        var operation = DeterministicId.Operation(api.Tokens.Project, key);
        var run = await cloud.Client.StartWorkflowAsync(
            (RestoreImageWorkflow w) => w.RunAsync(new(operation, image, null, new(api.Tokens.Project, "u", new[] { "member" }), "req-1")),
            new(Names.RestoreImageWorkflow(operation), "nobody"));
        await run.TerminateAsync("by hand");
        return operation;
    }

    [Fact]
    public async Task A_restore_makes_a_set_of_volumes_that_can_be_seen_and_the_same_key_is_the_same_set()
    {
        var image = await ImageAsync();
        Task<Answer> Again() => api.PostAsync($"/runs/{image}/restore", api.Tokens.Member, new { name = "copy" }, ("Idempotency-Key", $"restore-{image}"));
        var answer = await Again();
        Assert.Equal(HttpStatusCode.Accepted, answer.Status);
        var id = answer.Json.GetProperty("operation_id").GetString()!;
        Assert.Equal($"/operations/{id}", answer.Header("Location"));
        var volumes = answer.Json.GetProperty("volumes").EnumerateArray().ToList();
        Assert.Equal(["/dev/vda", "/dev/vdb"], volumes.Select(v => v.GetProperty("device_name").GetString()));

        Assert.Equal("completed", (await EndedAsync(id)).GetProperty("status").GetString());
        foreach (var volume in volumes)
        {
            var shown = (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/volumes/{volume.GetProperty("volume_id").GetString()}", api.Tokens.Member)).Json.GetProperty("volume");
            Assert.Equal(("available", $"copy {volume.GetProperty("device_name").GetString()}"), (shown.GetProperty("status").GetString(), shown.GetProperty("name").GetString()));
        }

        Assert.Equal(id, (await Again()).Json.GetProperty("operation_id").GetString());
        (await api.PostAsync($"/operations/{id}/cancel", api.Tokens.Member, new { })).IsFault(409, "conflictingRequest", $"Operation {id} is over, there is nothing to cancel.");
    }

    [Fact]
    public async Task A_restore_that_fails_leaves_no_volume_and_says_why()
    {
        var image = await ImageAsync();
        hosts.Broken = null;
        var before = hosts.Volumes.Count;
        var first = await api.PostAsync($"/runs/{Guid.NewGuid()}/restore", api.Tokens.Member, new { });
        first.IsFault(404, "itemNotFound");
        (await api.PostAsync($"/runs/{image}/restore", api.Tokens.OtherMember, new { })).IsFault(404, "itemNotFound", $"No image found with ID {image}");
        (await api.PostAsync($"/runs/{image}/restore", api.Tokens.Reader, new { })).IsFault(403, "forbidden");
        (await api.PostAsync($"/runs/{image}/restore", api.Tokens.Member, new { colour = "red" })).IsFault(400, "badRequest");

        hosts.BrokenClones = ErrorKind.BackendRefused;
        var id = (await api.PostAsync($"/runs/{image}/restore", api.Tokens.Member, new { })).Json.GetProperty("operation_id").GetString()!;
        var operation = await EndedAsync(id);
        hosts.BrokenClones = null;

        Assert.Equal(("failed", "the pool is full"), (operation.GetProperty("status").GetString(), operation.GetProperty("reason").GetProperty("message").GetString()));
        Assert.Equal(before, hosts.Volumes.Count);
        foreach (var volume in operation.GetProperty("volumes").EnumerateArray())
        {
            (await api.GetAsync($"/volume/v3/{api.Tokens.Project}/volumes/{volume.GetProperty("volume_id").GetString()}", api.Tokens.Member)).IsFault(404, "itemNotFound");
        }
    }

    [Fact]
    public async Task An_image_stands_for_the_snapshot_of_its_root_from_microversion_3_46_on()
    {
        var image = await ImageAsync();
        Task<Answer> Make(string version) => api.PostAsync(
            $"/volume/v3/{api.Tokens.Project}/volumes", api.Tokens.Member, new { volume = new { imageRef = image, size = 10 } }, ("OpenStack-API-Version", $"volume {version}"));
        (await Make("3.45")).IsFault(400, "badRequest");
        var answer = await Make("3.46");
        Assert.Equal(HttpStatusCode.Accepted, answer.Status);
        Assert.Contains(SnapshotId.Parse(answer.Json.GetProperty("volume").GetProperty("snapshot_id").GetString()!), await SnapshotsAsync(image));
    }

    private Task<JsonElement> EndedAsync(string operation) => Eventually.IsAsync(
        async () => (await api.GetAsync($"/operations/{operation}", api.Tokens.Reader)).Json, o => o.GetProperty("status").GetString() != "running");

    private async Task<IReadOnlyList<SnapshotId>> SnapshotsAsync(ImageId image) =>
        [.. (await api.Service<SnapshotStore>().ListAsync(api.Tokens.Project, new(Image: image), new(10), TestContext.Current.CancellationToken)).Select(s => s.Id)];

    private async Task<ImageId> ImageAsync()
    {
        await api.Service<QuotaStore>().SetLimitAsync(api.Tokens.Project, "volumes", -1, TestContext.Current.CancellationToken);
        var image = await AcceptedAsync(await api.RegisterServerAsync(volumes: 2));
        await Eventually.IsAsync(async () => (await api.GetAsync($"/image/v2/images/{image}", api.Tokens.Reader)).Json.GetProperty("status").GetString(), s => s == "active");
        return image;
    }

    private async Task<ImageId> AcceptedAsync(Server server) => ImageId.Parse(
        (await api.CreateImageAsync(server.Id, api.Tokens.Member, new { name = "snap" }, ("OpenStack-API-Version", "compute 2.45"))).Json.GetProperty("image_id").GetString()!);
}
