using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Requests;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Api.Admin;

/// <summary>
/// Reads what an administrator registers. What is wrong is said with its place, for example <c>volumes[1].size</c>, so that who imports a file finds the line.
/// The schema, with meanings and defaults, is in <c>docs/inventory.md</c>.
/// </summary>
internal static partial class InventoryFields
{
    private const int LongestText = 255;
    private const int LongestId = 64;
    private const int LongestValue = 64 * 1024;

    private static readonly string[] VolumeStatuses =
        [VolumeStatus.Available, VolumeStatus.InUse, VolumeStatus.Maintenance, VolumeStatus.Error, VolumeStatus.Creating, VolumeStatus.Deleting, "error_deleting"];

    /// <summary>Several lists at once.</summary>
    public static Inventory Of(JsonElement body)
    {
        var lists = new JsonField("inventory", body).Object([], ["volume_types", "volumes", "servers", "quotas"]);
        IReadOnlyList<JsonField> Items(string name) => lists.TryGetValue(name, out var list) ? Elements(list) : [];
        var inventory = new Inventory(
            [.. Items("volume_types").Select(VolumeTypeOf)],
            [.. Items("volumes").Select(VolumeOf)],
            [.. Items("servers").Select(ServerOf)],
            [.. Items("quotas").SelectMany(LimitsOf)]);
        Unique("volumes", inventory.Volumes.Select(v => v.Registration.Volume.Id.ToString()));
        Unique("servers", inventory.Servers.Select(s => s.Server.Id.ToString()));
        Unique("volume_types", inventory.VolumeTypes.Select(t => t.Name));
        return inventory;
    }

    /// <summary>The one thing in <c>{"server": {…}}</c>, as a list of one.</summary>
    public static Inventory One(JsonElement body, string member, string list)
    {
        if (body.ValueKind is not JsonValueKind.Object || body.EnumerateObject().ToList() is not [var one] || one.Name != member)
        {
            throw Fault.BadRequest($"The body must be an object with the one member '{member}'");
        }

        return Of(JsonSerializer.SerializeToElement(new Dictionary<string, JsonElement[]> { [list] = [one.Value] }));
    }

    private static VolumeType VolumeTypeOf(JsonField item)
    {
        var f = Members(item, ["name"], ["id", "description", "is_public", "extra_specs"]);
        var name = Text(f["name"], LongestText);
        return new()
        {
            Id = f.TryGetValue("id", out var id) ? Uuid(id) : Guid.NewGuid(),
            Name = name,
            Description = Optional(f, "description"),
            IsPublic = !f.TryGetValue("is_public", out var isPublic) || isPublic.Boolean(),
            ExtraSpecs = Texts(f, "extra_specs"),
        };
    }

    private static (VolumeRegistration Registration, bool KeepsStatus) VolumeOf(JsonField item)
    {
        var f = Members(
            item, ["id", "project_id", "size", "backend"],
            [
                "user_id", "name", "description", "status", "volume_type", "bootable", "encrypted", "encryption_key_id", "multiattach", "availability_zone",
                "volume_image_metadata",
            ]);
        var status = f.TryGetValue("status", out var given) ? given.OneOf(VolumeStatuses.ToDictionary(s => s)) : null;
        return (new(
            new()
            {
                Id = VolumeId.From(Uuid(f["id"])),
                ProjectId = Id(f["project_id"]),
                UserId = f.TryGetValue("user_id", out var user) ? Id(user) : "",
                Name = Optional(f, "name"),
                Description = Optional(f, "description"),
                Status = status ?? VolumeStatus.Available,
                SizeGib = Integer(f["size"], 1, int.MaxValue),
                VolumeType = Optional(f, "volume_type"),
                Bootable = Flag(f, "bootable"),
                Encrypted = Flag(f, "encrypted"),
                EncryptionKeyId = Optional(f, "encryption_key_id"),
                Multiattach = Flag(f, "multiattach"),
                Backend = Backend(f["backend"]),
                AvailabilityZone = Optional(f, "availability_zone"),
            },
            Texts(f, "volume_image_metadata")), status is null);
    }

    private static (Server Server, IReadOnlyList<BlockDevice> BlockDevices) ServerOf(JsonField item)
    {
        var f = Members(
            item, ["id", "project_id", "name", "block_devices"],
            ["user_id", "host", "vm_state", "root_device_name", "image_ref", "system_metadata", "locked", "launched_at", "guest_agent_address", "server_group"]);
        var devices = Elements(f["block_devices"]).Select(DeviceOf).ToList();
        if (devices.Count(d => d is { BootIndex: 0, NoDevice: false }) > 1)
        {
            throw f["block_devices"].Invalid("More than one root device (boot_index 0)");
        }

        var host = f.TryGetValue("host", out var where) ? Name(where) : null;
        var state = f.TryGetValue("vm_state", out var given)
            ? given.OneOf(Enum.GetValues<VmState>().Where(s => s is not VmState.Deleted).ToDictionary(s => s.ToText()))
            : VmState.Active;
        if (host is null && state is VmState.Active)
        {
            throw item.Invalid("'host' is a required property of an active server: it names the compute worker that freezes the guest");
        }

        return (new()
        {
            Id = ServerId.From(Uuid(f["id"])),
            ProjectId = Id(f["project_id"]),
            UserId = f.TryGetValue("user_id", out var user) ? Id(user) : "",
            Name = Text(f["name"], LongestText),
            Host = host,
            VmState = state,
            RootDeviceName = Optional(f, "root_device_name"),
            ImageRef = Optional(f, "image_ref"),
            SystemMetadata = Texts(f, "system_metadata").ToDictionary(p => p.Key, p => (string?)p.Value),
            Locked = Flag(f, "locked"),
            LaunchedAt = f.TryGetValue("launched_at", out var launched) ? Time(launched) : DateTimeOffset.UnixEpoch,
            GuestAgentAddress = Optional(f, "guest_agent_address"),
            ServerGroup = f.TryGetValue("server_group", out var group) && group.Value.ValueKind is not JsonValueKind.Null ? Group(group) : null,
        }, devices);
    }

    private static BlockDevice DeviceOf(JsonField item)
    {
        var f = Members(
            item, [],
            [
                "source_type", "destination_type", "boot_index", "device_name", "disk_bus", "device_type", "guest_format", "delete_on_termination", "no_device",
                "volume_id", "volume_size", "volume_type", "tag",
            ]);
        var device = new BlockDevice
        {
            SourceType = f.TryGetValue("source_type", out var source) ? source.OneOf(Words("volume", "image", "snapshot", "blank")) : "volume",
            DestinationType = f.TryGetValue("destination_type", out var destination) ? destination.OneOf(Words("volume", "local")) : "volume",
            BootIndex = f.TryGetValue("boot_index", out var index) ? Integer(index, -1, int.MaxValue) : null,
            DeviceName = Optional(f, "device_name"),
            DiskBus = Optional(f, "disk_bus"),
            DeviceType = Optional(f, "device_type"),
            GuestFormat = Optional(f, "guest_format"),
            DeleteOnTermination = Flag(f, "delete_on_termination"),
            NoDevice = Flag(f, "no_device"),
            VolumeId = f.TryGetValue("volume_id", out var volume) ? VolumeId.From(Uuid(volume)) : null,
            VolumeSize = f.TryGetValue("volume_size", out var size) ? Integer(size, 1, int.MaxValue) : null,
            VolumeType = Optional(f, "volume_type"),
            Tag = Optional(f, "tag"),
        };
        return device is { IsVolume: true, NoDevice: false, VolumeId: null } ? throw item.Invalid("'volume_id' is a required property of a device that is a volume") : device;
    }

    private static IEnumerable<(string ProjectId, string Resource, int Limit)> LimitsOf(JsonField item)
    {
        var f = Members(item, ["project_id", "limits"], []);
        var project = Id(f["project_id"]);
        foreach (var (name, limit) in Members(f["limits"]))
        {
            if (!Resource().IsMatch(name))
            {
                throw limit.Invalid("Limits are of snapshots, volumes and gigabytes, of each per volume type, for example snapshots_fast, and per_volume_gigabytes");
            }

            yield return (project, name, Integer(limit, Quota.Unlimited, int.MaxValue));
        }
    }

    /// <summary>Members that know where they are.</summary>
    private static Dictionary<string, JsonField> Members(JsonField item) =>
        item.Members().ToDictionary(m => m.Key, m => new JsonField($"{item.Name}.{m.Key}", m.Value.Value));

    private static Dictionary<string, JsonField> Members(JsonField item, string[] required, string[] optional)
    {
        item.Object(required, optional);
        return Members(item);
    }

    private static List<JsonField> Elements(JsonField list) => list.Value.ValueKind is JsonValueKind.Array
        ? [.. list.Value.EnumerateArray().Select((element, i) => new JsonField($"{list.Name}[{i}]", element))]
        : throw list.Invalid($"{JsonField.Represented(list.Value)} is not of type 'array'");

    private static string? Optional(Dictionary<string, JsonField> fields, string name) =>
        fields.TryGetValue(name, out var field) && field.Value.ValueKind is not JsonValueKind.Null ? Text(field, LongestText) : null;

    private static bool Flag(Dictionary<string, JsonField> fields, string name) => fields.TryGetValue(name, out var field) && field.Boolean();

    private static Dictionary<string, string> Texts(Dictionary<string, JsonField> fields, string name) => fields.TryGetValue(name, out var field)
        ? Members(field).ToDictionary(m => m.Key.Contains('\0', StringComparison.Ordinal) ? throw m.Value.Invalid("Its name holds the character U+0000") : m.Key, m => Text(m.Value, LongestValue, mayBeEmpty: true))
        : [];

    private static string Text(JsonField field, int longest, bool mayBeEmpty = false)
    {
        var text = field.Text();
        return text.Length == 0 && !mayBeEmpty ? throw field.Invalid("'' is too short")
            : text.Length > longest ? throw field.Invalid($"It has more than {longest} characters")
            : text.Any(char.IsControl) && longest <= LongestText ? throw field.Invalid("It holds a control character")
            : text.Contains('\0', StringComparison.Ordinal) ? throw field.Invalid("It holds the character U+0000")
            : text;
    }

    private static string Id(JsonField field) =>
        Text(field, LongestId) is var id && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') ? id : throw field.Invalid("An id has 1 to 64 letters, digits, - and _");

    private static string Name(JsonField field) => HostName().IsMatch(Text(field, LongestText)) ? field.Text() : throw field.Invalid("A host name has letters, digits, - . and _");

    private static string Group(JsonField field) =>
        GroupName().IsMatch(field.Text()) ? field.Text() : throw field.Invalid("A server group has a name of 1 to 64 printable characters, with no blank at either end");

    private static string Backend(JsonField field) =>
        BackendName().IsMatch(Text(field, LongestText)) ? field.Text() : throw field.Invalid("It must be host@backend, as the volume worker is called");

    private static Guid Uuid(JsonField field) => Guid.TryParseExact(field.Text(), "D", out var id) && id != Guid.Empty ? id : throw field.Invalid("It is not a 'uuid'");

    private static int Integer(JsonField field, int minimum, int maximum) =>
        field.Value.ValueKind is JsonValueKind.Number && field.Value.TryGetInt32(out var number)
            ? number < minimum ? throw field.Invalid(string.Create(CultureInfo.InvariantCulture, $"{number} is less than the minimum of {minimum}"))
            : number
            : throw field.Invalid($"It must be an integer from {minimum} to {maximum}");

    private static DateTimeOffset Time(JsonField field) =>
        DateTimeOffset.TryParse(field.Text(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : throw field.Invalid("It must be a time such as 2026-11-22T20:00:00Z");

    private static Dictionary<string, string> Words(params string[] words) => words.ToDictionary(w => w);

    private static void Unique(string list, IEnumerable<string> ids)
    {
        var seen = new HashSet<string>();
        var i = 0;
        foreach (var id in ids)
        {
            if (!seen.Add(id))
            {
                throw Fault.BadRequest($"Invalid input for field/attribute {list}[{i}]. Value: {id}. It is in the list twice");
            }

            i++;
        }
    }

    [GeneratedRegex(@"\A((snapshots|volumes|gigabytes)(_[^\p{C}]{1,200})?|per_volume_gigabytes)\z", RegexOptions.CultureInvariant)]
    private static partial Regex Resource();

    [GeneratedRegex(@"\A[A-Za-z0-9._-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex HostName();

    // Characters that a label of a metric shows as they are: letters, marks, digits, signs, and blanks between them.
    [GeneratedRegex(@"\A(?! )[\p{L}\p{M}\p{N}\p{P}\p{S} ]{1,64}(?<! )\z", RegexOptions.CultureInvariant)]
    private static partial Regex GroupName();

    [GeneratedRegex(@"\A[A-Za-z0-9._-]+@[A-Za-z0-9._#+-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex BackendName();
}
